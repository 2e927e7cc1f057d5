"""Run the viewer until Ctrl-C."""

from __future__ import annotations

import sys
import threading
import webbrowser

from jointwrist.errors import DataError
from jointwrist.viewer.describe import describe_model
from jointwrist.viewer.radiographs import Radiographs
from jointwrist.viewer.server import ViewerServer, is_loopback


def serve(radiographs: Radiographs, host: str, port: int, max_upload: int, open_browser: bool = True) -> None:
    """Serve the page until Ctrl-C, then discard the radiographs.

    Args:
        radiographs: Radiographs on the page from the start, and the predictor of all.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        max_upload: Size in bytes of the largest file that can be dropped on the page.
        open_browser: Open the page in the browser.

    Raises:
        DataError: The port is taken, or the address is not one of this machine.
    """
    facts = describe_model(radiographs.predictor)
    try:
        opened = ViewerServer(radiographs, facts, host, port, max_upload)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot listen on {host}:{port} ({reason}); choose another --host or --port") from None
    with opened as server:
        if not is_loopback(host):
            print(
                f"jointwrist: WARNING: --host {host} opens this server to the network. Whoever has the address below"
                " can see every radiograph, without a password and unencrypted.",
                file=sys.stderr,
            )
        print(f"jointwrist view: {server.url} (press Ctrl-C to stop)", flush=True)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(server.single_use_url(),), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    radiographs.close()
