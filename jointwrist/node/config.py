"""Configuration of a DICOM node, read from its YAML file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from jointwrist.config import ConfigError, Count, Range, build, read_yaml

#: What can be sent back, by the names of `predict --dicom`.
Output = Literal["seg", "sr", "pr", "sc"]
Port = Annotated[int, Range(0, 65535)]
Pause = Annotated[float, Range(0.1, 86_400)]


@dataclass(frozen=True)
class TlsConfig:
    """Certificates of encrypted DICOM connections.

    Attributes:
        certificate: PEM file with this node's certificate.
        key: PEM file with its private key.
        authority: PEM file with the certificates that peers are checked against.
    """

    certificate: str
    key: str
    authority: str


@dataclass(frozen=True)
class DicomConfig:
    """Where radiographs arrive by C-STORE.

    Attributes:
        ae_title: Title that callers must call.
        host: Address to listen on; the default is reached from this machine alone.
        port: Port to listen on.
        allowed: AE titles that may call; empty allows all that reach the port.
        associations: Associations at once.
        idle_s: Seconds after which a silent association is ended.
        tls: Encrypt, and ask callers for a certificate.
    """

    ae_title: str = "JOINTWRIST"
    host: str = "127.0.0.1"
    port: Port = 11112
    allowed: tuple[str, ...] = ()
    associations: Annotated[int, Range(1, 1000)] = 8
    idle_s: Annotated[float, Range(1, 3600)] = 60.0
    tls: TlsConfig | None = None


@dataclass(frozen=True)
class HttpConfig:
    """Where radiographs arrive by STOW-RS, and where health and counters are asked for.

    Attributes:
        host: Address to listen on; there is no password, so leave it to this machine or put a proxy before it.
        port: Port to listen on; 0 switches HTTP off.
    """

    host: str = "127.0.0.1"
    port: Port = 8042


@dataclass(frozen=True)
class PeerConfig:
    """Where results go: a DICOM node, or a DICOMweb server.

    Attributes:
        name: Name in logs and folders.
        ae_title: AE title of a DICOM peer.
        host: Its address.
        port: Its port.
        url: Address of a DICOMweb service, such as `http://127.0.0.1:8042/dicom-web`, in place of the three.
        outputs: What it gets.
        tls: Certificates of an encrypted DICOM connection.
    """

    name: str
    ae_title: str = ""
    host: str = ""
    port: Port = 104
    url: str = ""
    outputs: tuple[Output, ...] = ("seg", "sr", "pr", "sc")
    tls: TlsConfig | None = None


@dataclass(frozen=True)
class NodeConfig:
    """A DICOM node.

    Attributes:
        folder: Where radiographs and results wait; several nodes may share it.
        peers: Where results go.
        dicom: Where radiographs arrive.
        http: STOW-RS, health and counters.
        weights: What `--weights` of `predict` takes.
        device: What `--device` of `predict` takes; empty takes a GPU if there is one.
        object_mb: Largest object that is received, in MiB.
        queue: Radiographs that may wait; further ones are refused until there is room.
        attempts: How often a radiograph is tried that ends the process or fails for no reason of its own.
        retry_s: Seconds until a peer that cannot be reached is tried again; the pause doubles each time.
        longest_retry_s: Longest pause.
        keep: Keep radiographs after their results were sent.
    """

    folder: str
    peers: tuple[PeerConfig, ...]
    dicom: DicomConfig = field(default_factory=DicomConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    weights: str = "jointwrist_tiny"
    device: str = ""
    object_mb: Annotated[int, Range(1, 2048)] = 128
    queue: Count = 10_000
    attempts: Count = 10
    retry_s: Pause = 5.0
    longest_retry_s: Pause = 600.0
    keep: bool = False


def read_config(path: str | Path) -> NodeConfig:
    """Read and check the configuration of a node.

    Raises:
        ConfigError: The file is missing or no YAML, or a key is unknown, missing, of another type or out of range.
    """
    values = read_yaml(Path(path))
    try:
        config = build(NodeConfig, {**values, "peers": tuple(_peers(values.get("peers")))})
        _check(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except TypeError as error:  # a key without default is missing
        raise ConfigError(f"{path}: {error}".replace("NodeConfig.__init__() missing", "missing").rstrip()) from None
    return config


def _peers(items: Any) -> list[PeerConfig]:
    if not isinstance(items, list) or not items:
        raise ConfigError("peers needs a list of at least one peer, each with a name")
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict) or not item.get("name"):
            raise ConfigError(f"peers: number {number} has no name")
    return [build(PeerConfig, item, f"peers.{item['name']}.") for item in items]


def _check(config: NodeConfig) -> None:
    titles = [config.dicom.ae_title, *config.dicom.allowed]
    for peer in config.peers:
        titles += [peer.ae_title] if peer.ae_title else []
        if bool(peer.url) == bool(peer.ae_title and peer.host):
            raise ConfigError(f"peers.{peer.name}: give either url, or ae_title, host and port")
        if peer.url and urlsplit(peer.url).scheme not in ("http", "https"):
            raise ConfigError(f"peers.{peer.name}.url must begin with http:// or https://")
        if not peer.outputs:
            raise ConfigError(f"peers.{peer.name}.outputs is empty; name some of seg, sr, pr, sc")
        if not peer.name.replace("-", "").replace("_", "").isalnum() or not peer.name.isascii():
            raise ConfigError(f"peers.{peer.name}.name may hold letters, digits, - and _ alone: it names a folder")
    names = [peer.name for peer in config.peers]
    if len(set(names)) < len(names):
        raise ConfigError("two peers have the same name")
    for title in titles:
        if not 1 <= len(title.strip()) <= 16 or not title.isascii() or "\\" in title:
            raise ConfigError(f"AE title {title!r} must have 1 to 16 ASCII characters and no backslash")
    for tls in [config.dicom.tls, *(peer.tls for peer in config.peers)]:
        for file in dataclasses.astuple(tls) if tls else ():
            if not Path(file).is_file():
                raise ConfigError(f"{file}: no such file for tls")
