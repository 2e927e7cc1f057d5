"""What `jointwrist view` does."""

from __future__ import annotations

import argparse
import sys
import threading
import webbrowser

from jointwrist.commands.shared import complain
from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
from jointwrist.inference.predictor import Predictor
from jointwrist.viewer.describe import describe_model
from jointwrist.viewer.radiographs import Radiographs
from jointwrist.viewer.server import ViewerServer, is_loopback


def view(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C.

    Raises:
        DataError: A path does not exist, or there are no such weights.
        OSError: The port is taken.
    """
    found = find_radiographs(arguments.radiographs, left_out=lambda *folder: complain(describe_left_out(*folder)))
    paths = list(dict.fromkeys(found))
    predictor = Predictor.from_pretrained(arguments.weights, arguments.device, arguments.field, arguments.turn)
    radiographs = Radiographs(predictor, arguments.side, arguments.tta, arguments.window)
    radiographs.add_files(paths)
    facts = describe_model(predictor, arguments.weights)
    with ViewerServer(radiographs, facts, arguments.host, arguments.port, arguments.max_upload * 2**20) as server:
        if not is_loopback(arguments.host):
            print(
                f"jointwrist: WARNING: --host {arguments.host} opens this server to the network. Whoever has the"
                " address below sees every radiograph, without a password and unencrypted.",
                file=sys.stderr,
            )
        print(f"jointwrist view: {server.url} (Ctrl-C ends it)", flush=True)
        if arguments.browser:
            threading.Thread(target=webbrowser.open, args=(server.single_use_url(),), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    radiographs.close()
    return 0
