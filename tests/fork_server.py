"""A fork server of multiprocessing that is itself a fork of this process and inherits what the tests have imported."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import sys
import warnings
from multiprocessing import connection, forkserver, resource_tracker

#: Python 3.14 gives its server a key, by other means in every version.
POSSIBLE = hasattr(os, "fork") and sys.platform != "darwin" and sys.version_info < (3, 14)


def start(modules: list[str]) -> None:
    """Fork the server from which all processes of the context `forkserver` will come.

    multiprocessing would start it as a new interpreter, which takes twelve seconds to import the modules again.
    Call this before anything is computed: threads are not inherited.

    Args:
        modules: Modules that the server imports, as far as they are not imported yet.
    """
    resource_tracker.ensure_running()
    with socket.socket(socket.AF_UNIX) as listener, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the thread of pytest-xdist needs nothing in the server
        address = connection.arbitrary_address("AF_UNIX")
        listener.bind(address)
        listener.listen()
        ended, alive = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(alive)
            _serve(listener.detach(), ended, modules)
    os.close(ended)
    server = forkserver._forkserver
    server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = address, alive, pid


def _serve(listener: int, ended: int, modules: list[str]) -> None:
    """Fork processes as asked until `ended` says that nobody is left to ask."""
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # not what pytest captures
        logging.getLogger().handlers.clear()  # those of pytest
        importlib.reload(warnings)  # printed, where pytest keeps them for its summary
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for module in modules:
            importlib.import_module(module)
        forkserver.main(listener, ended, [])
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)
