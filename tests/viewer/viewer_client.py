"""What the tests of the viewer ask with, and what they send."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from io import BytesIO
from urllib.parse import quote, urlsplit

import dicom_files
import numpy as np
from PIL import Image
from pydicom.uid import DigitalXRayImageStorageForPresentation

from jointwrist.viewer.describe import describe_model
from jointwrist.viewer.radiographs import Radiographs
from jointwrist.viewer.server import ViewerServer

LIMIT = 200_000


@contextmanager
def serving(predictor, paths):
    """A viewer of some radiographs that answers until the block ends."""
    radiographs = Radiographs(predictor)
    radiographs.add_files(paths)
    with ViewerServer(radiographs, describe_model(predictor), port=0, max_upload=LIMIT) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
    radiographs.close()


class Client:
    """Asks as the page does, unless told otherwise."""

    def __init__(self, server):
        self.server = server
        self.root = urlsplit(server.url)
        self.host = self.root.netloc

    def __call__(self, method, address, body=None, path=None, **headers):
        connection = http.client.HTTPConnection(self.root.hostname, self.root.port, timeout=120)
        sent = {"Host": self.host, "Origin": f"http://{self.host}", **headers}
        sent = {key: value for key, value in sent.items() if value is not None}
        connection.request(method, path or self.root.path + address, body, sent)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        kind = reply.headers["Content-Type"]
        return reply, json.loads(content) if kind == "application/json" else content

    def get(self, address):
        reply, content = self("GET", address)
        assert reply.status == 200, content
        return content

    def upload(self, name, data):
        return self("POST", f"radiographs?name={quote(name)}", data)


def png(image):
    stream = BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def dicom(image, **attributes):
    """A digital radiograph that says neither side nor spacing, unless told to."""
    header = dict(
        SOPClassUID=DigitalXRayImageStorageForPresentation, Modality="DX", PatientName="Somebody^Else",
        Laterality=None, ImagerPixelSpacing=None,
    )  # fmt: skip
    return dicom_files.content(dicom_files.make(np.round(image * 4095).astype(np.uint16), **(header | attributes)))


def area(path):
    """Area inside SVG path data of straight lines, by the shoelace formula."""
    total = 0.0
    for piece in path.split("Z")[:-1]:
        x, y = np.array([point.split() for point in piece.removeprefix("M").split("L")], float).T
        total += 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))
    return abs(total)
