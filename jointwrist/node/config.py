"""Configuration of a DICOM node, read from its YAML file."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from jointwrist.config import ConfigError, Count, Range, build, read_yaml

#: Kinds of results, named as in `jointwrist predict --dicom`.
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
    """The storage provider (C-STORE) that receives radiographs.

    Attributes:
        ae_title: AE title of this node; callers must use it.
        host: Address to listen on; the default accepts connections from this machine only.
        port: Port to listen on.
        allowed: AE titles of permitted callers; empty permits all.
        associations: Largest number of simultaneous associations.
        idle_s: Seconds without traffic after which an association is ended.
        tls: Encrypt connections and require client certificates; None leaves them unencrypted.
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
    """The HTTP server: STOW-RS, health and counters.

    Attributes:
        host: Address to listen on. There is no authentication: keep it local, or put a reverse proxy in front.
        port: Port to listen on; 0 disables HTTP.
    """

    host: str = "127.0.0.1"
    port: Port = 8042


@dataclass(frozen=True)
class PeerConfig:
    """A destination of results: a DICOM node or a DICOMweb server.

    Attributes:
        name: Name in logs and folders.
        ae_title: AE title of a DICOM peer.
        host: Address of a DICOM peer.
        port: Port of a DICOM peer.
        url: Address of a DICOMweb service, such as `http://127.0.0.1:8042/dicom-web`, instead of these three.
        outputs: Kinds of results to send.
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
        folder: Queue of radiographs and results; several nodes may share it.
        peers: Destinations of results.
        dicom: Storage provider.
        http: HTTP server.
        weights: As `--weights` of `jointwrist predict`.
        device: As `--device` of `jointwrist predict`; empty uses a GPU if there is one.
        object_mb: Largest object accepted, in MiB.
        queue: Largest number of waiting radiographs; further ones are refused until there is room.
        attempts: Attempts at a radiograph during which the process ended or an unexpected error occurred.
        retry_s: Seconds before the first retry of an unreachable peer; the pause doubles each time.
        longest_retry_s: Longest pause between retries in seconds.
        keep: Keep radiographs after prediction.
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
        ConfigError: The file is missing or not YAML, or a key is unknown, missing, of another type or out of range.
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
    folder = Path(config.folder).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = "cannot be written to" if existing.is_dir() else "is a file"
        raise ConfigError(f"folder: {existing} {reason}; name a folder that this user can write to")
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
            raise ConfigError(f"peers.{peer.name}.name may contain only letters, digits, - and _, as it names a folder")
    names = [peer.name for peer in config.peers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"peers: two are called {min(twice)}; give each a name of its own")
    for title in titles:
        if not 1 <= len(title.strip()) <= 16 or not title.isascii() or "\\" in title:
            raise ConfigError(f"AE title {title!r} must have 1 to 16 ASCII characters and no backslash")
    for tls in [config.dicom.tls, *(peer.tls for peer in config.peers)]:
        for file in dataclasses.astuple(tls) if tls else ():
            if not Path(file).is_file():
                raise ConfigError(f"{file}: no such file; correct it under tls")
