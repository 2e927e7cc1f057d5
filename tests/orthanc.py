"""Debian's Orthanc on this machine, for as long as a test runs."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request

import programs
from node_peers import free_port

#: Debian's package orthanc-dicomweb.
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


class Orthanc:
    """Debian's Orthanc on free ports of this machine."""

    def __init__(self, folder):
        self.http, self.dicom = free_port(), free_port()
        settings = {
            "Name": "test", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http, "DicomPort": self.dicom, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomAlwaysAllowEcho": True, "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True, "DicomCheckCalledAet": False, "Plugins": [PLUGIN],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Host": f"127.0.0.1:{self.http}", "Ssl": False},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings))
        with (folder / "orthanc.log").open("w") as log:
            self.process = subprocess.Popen(
                [programs.need("Orthanc", "orthanc"), folder / "orthanc.json"], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, (folder / "orthanc.log").read_text()
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            self.get("/system")
        except OSError:
            return False
        return True

    def get(self, path: str, accept: str = "application/json") -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def instances(self, study_uid: str) -> dict[str, str]:
        """Orthanc's number of each instance of a study, by its modality."""
        found = {}
        for series in json.loads(self.get("/series?expand")):
            study = json.loads(self.get(f"/studies/{series['ParentStudy']}"))
            if study["MainDicomTags"]["StudyInstanceUID"] == study_uid:
                found[series["MainDicomTags"]["Modality"]] = series["Instances"][0]
        return found

    def upload(self, content: bytes) -> str:
        """Store an object by REST; return Orthanc's number of it."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/instances", content)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())["ID"]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
