"""Bad associations, objects and requests that a node meets on a network, by name; each takes the running node.

Protocol data units are put together byte by byte (PS3.8, 9.3), because libraries refuse to send wrong ones.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dicom_files import content
from node_peers import radiograph, send
from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    generate_uid,
)
from pynetdicom import AE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind

CR, EXPLICIT = ComputedRadiographyImageStorage, ExplicitVRLittleEndian
APPLICATION = b"1.2.840.10008.3.1.1.1"
#: By name; what each returns is the status of a C-STORE, if there is one.
BAD_PEERS: dict[str, Callable] = {}
#: Names of those whose object is kept, for what is wrong with it shows only when it is read.
NOTED: set[str] = set()


def bad_peer(function: Callable) -> Callable:
    BAD_PEERS[function.__name__] = function
    return function


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body) if length is None else length) + body


def context(number: int, abstract: str = CR, syntaxes: tuple[str, ...] = (EXPLICIT,)) -> bytes:
    names = item(0x30, abstract.encode()) + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes)
    return item(0x20, bytes([number, 0, 0, 0]) + names)


def request(
    contexts: bytes | None = None, application: bytes = APPLICATION, user: bytes | None = None, version: int = 1,
    called: bytes = b"JOINTWRIST", calling: bytes = b"MODALITY",
) -> bytes:  # fmt: skip
    head = struct.pack(">HH16s16s32x", version, 0, called.ljust(16), calling.ljust(16))
    if user is None:
        user = item(0x50, item(0x51, struct.pack(">I", 16382)) + item(0x52, b"1.2.3"))
    return pdu(1, head + item(0x10, application) + (context(1) if contexts is None else contexts) + user)


def fragment(data: bytes, command: bool, number: int = 1, last: bool = True, length: int | None = None) -> bytes:
    control = (1 if command else 0) | (2 if last else 0)
    return struct.pack(">IBB", len(data) + 2 if length is None else length, number, control) + data


def store_command(uid: str = "1.2.3", **attributes) -> bytes:
    command = Dataset()
    command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = CR, uid
    command.CommandField, command.MessageID, command.Priority, command.CommandDataSetType = 1, 1, 2, 1
    for name, value in attributes.items():
        setattr(command, name, value)
    return with_length(command)


def with_length(command: Dataset) -> bytes:
    command.CommandGroupLength = 0
    command.CommandGroupLength = len(encode(command, True, True)) - 12
    return encode(command, True, True)


def say(port: int, *messages: bytes, reset: bool = False) -> bytes:
    """Open a connection, send messages, read an answer to each but the last, and close."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        try:
            for number, message in enumerate(messages, 1):
                connection.sendall(message)
                if number < len(messages):
                    answer = connection.recv(65536)
        except OSError:  # it was ended from the other side
            return answer
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return answer


@contextmanager
def association(node, number: int = 1) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", node.receiver.port), timeout=20) as connection:
        connection.sendall(request(context(number)))
        assert connection.recv(65536)[0] == 2, "the association is not accepted"
        yield connection


def store(node, data: bytes, uid: str = "", syntax: str = EXPLICIT) -> int | None:
    """C-STORE any bytes; return the status, or None where the association was ended."""
    with socket.create_connection(("127.0.0.1", node.receiver.port), timeout=20) as connection:
        connection.sendall(request(context(1, syntaxes=(syntax,))))
        connection.recv(65536)
        parts = [data[start : start + 16000] for start in range(0, len(data), 16000)] or [b""]
        try:
            connection.sendall(pdu(4, fragment(store_command(uid or generate_uid()), True)))
            for number, part in enumerate(parts, 1):
                connection.sendall(pdu(4, fragment(part, False, last=number == len(parts))))
            answer = connection.recv(65536)
            connection.sendall(pdu(5, bytes(4)))
        except OSError:
            return None
    status = answer.find(b"\x00\x00\x00\x09\x02\x00\x00\x00")  # (0000,0900) Status
    return None if status < 0 else struct.unpack_from("<H", answer, status + 8)[0]


def body(dataset) -> bytes:
    """The data set of a file without its meta header."""
    whole = content(dataset)
    return whole[144 + int.from_bytes(whole[140:144], "little") :]


# bytes that are no association

RAW = {
    "a_connection_that_says_nothing": b"",
    "one_byte": b"\x01",
    "a_web_browser": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": os.urandom(500),
    "a_tls_client": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "pdu_of_type_0": pdu(0, bytes(8)),
    "pdu_of_an_unknown_type": pdu(0x42, bytes(8)),
    "request_that_announces_4_gb": pdu(1, bytes(64), 0xFFFFFFFF),
    "request_without_a_body": pdu(1, b""),
    "request_cut_in_the_middle": request()[:90],
    "request_of_nul_bytes": pdu(1, bytes(200)),
    "request_whose_items_overrun": request(item(0x20, bytes(4), 0xFFFF)),
    "data_before_the_association": pdu(4, fragment(bytes(100), False)),
    "release_before_the_association": pdu(5, bytes(4)),
    "abort_before_the_association": pdu(7, bytes(4)),
    "an_acceptance_as_the_first_word": pdu(2, request()[6:]),
}
for _name, _message in RAW.items():
    BAD_PEERS[_name] = lambda node, message=_message: say(node.receiver.port, message, b"") and None

# requests that are to be rejected or accepted without use

REQUESTS = {
    "protocol_version_0": request(version=0),
    "another_application": request(application=b"1.2.3.4"),
    "no_application": request(application=b""),
    "no_presentation_contexts": request(b""),
    "an_even_context_number": request(context(2)),
    "one_context_number_twice": request(context(1) + context(1)),
    "200_contexts": request(b"".join(context(1 + 2 * (number % 127)) for number in range(200))),
    "a_context_without_syntax": request(context(1, syntaxes=())),
    "a_class_that_is_no_uid": request(context(1, "not a uid")),
    "no_user_information": request(user=b""),
    "user_information_that_overruns": request(user=item(0x50, item(0x51, bytes(4), 0xFFFF))),
    "a_maximum_length_of_1": request(user=item(0x50, item(0x51, struct.pack(">I", 1)) + item(0x52, b"1.2.3"))),
    "a_title_of_nul_bytes": request(called=bytes(16)),
    "a_title_with_a_format": request(calling=b"%s%n{}\\..\\"),
}
for _name, _message in REQUESTS.items():
    BAD_PEERS[_name] = lambda node, message=_message: say(node.receiver.port, message, b"") and None

# what goes wrong within an association

WITHIN = {
    "a_second_request": request(),
    "noise_within": os.urandom(300),
    "data_of_another_context": pdu(4, fragment(store_command(), True, number=9)),
    "a_fragment_longer_than_its_pdu": pdu(4, fragment(b"abc", True, length=5000)),
    "a_fragment_of_length_0": pdu(4, fragment(b"", True, length=0)),
    "a_fragment_that_announces_4_gb": pdu(4, fragment(bytes(20), True, length=0xFFFFFFFF)),
    "data_that_announce_4_gb": pdu(4, fragment(bytes(20), False), 0xFFFFFFFF),
    "a_command_of_noise": pdu(4, fragment(os.urandom(80), True)),
    "a_command_without_a_field": pdu(4, fragment(with_length(Dataset()), True)),
    "a_query_instead_of_an_object": pdu(4, fragment(store_command(CommandField=0x20), True)),
    "an_object_without_data": pdu(4, fragment(store_command(CommandDataSetType=0x0101), True)),
    "data_without_a_command": pdu(4, fragment(bytes(400), False)),
    "broken_off_after_the_command": pdu(4, fragment(store_command(), True)),
    "broken_off_in_the_middle": pdu(4, fragment(store_command(), True)) + pdu(4, fragment(bytes(9), False, last=False)),
    "aborted_in_the_middle": pdu(4, fragment(store_command(), True)) + pdu(7, bytes(4)),
    "released_in_the_middle": pdu(4, fragment(store_command(), True)) + pdu(5, bytes(4)),
}  # fmt: skip
for _name, _message in WITHIN.items():
    BAD_PEERS[_name] = lambda node, message=_message: say(node.receiver.port, request(), message) and None


@bad_peer
def reset_in_the_middle(node):
    message = pdu(4, fragment(store_command(), True)) + pdu(4, fragment(bytes(900), False, last=False))
    say(node.receiver.port, request(), message, reset=True)


@bad_peer
def an_object_larger_than_the_node_takes(node):
    with association(node) as connection:
        try:
            connection.sendall(pdu(4, fragment(store_command(), True)))
            for _ in range(200):
                connection.sendall(pdu(4, fragment(bytes(16000), False, last=False)))
            answer = connection.recv(100)
        except OSError:  # it was ended from the other side
            return
        assert answer[:1] in (b"", b"\x07"), "3 MB were taken"


@bad_peer
def many_commands_without_an_object(node):
    with association(node) as connection:
        try:
            for _ in range(50):
                connection.sendall(pdu(4, fragment(store_command(CommandDataSetType=0x0101), True)))
        except OSError:
            return


@bad_peer
def six_connections_that_say_nothing(node):
    connections = [socket.create_connection(("127.0.0.1", node.receiver.port)) for _ in range(6)]
    for connection in connections:
        connection.close()


# callers that a library makes


@bad_peer
def an_unknown_caller(node):
    assert send(node.receiver.port, [radiograph()], calling="STRANGER") == []


@bad_peer
def a_caller_of_another_title(node):
    assert send(node.receiver.port, [radiograph()], called="SOMEONE") == []


def refused_context(node, abstract: str, syntax: str) -> None:
    entity = AE(ae_title="MODALITY")
    entity.add_requested_context(abstract, syntax)
    found = entity.associate("127.0.0.1", node.receiver.port, ae_title="JOINTWRIST")
    assert not found.accepted_contexts
    if found.is_established:
        found.release()


for _name, _pair in {
    "another_class": (CTImageStorage, EXPLICIT),
    "a_query": (PatientRootQueryRetrieveInformationModelFind, EXPLICIT),
    "a_film_as_video": (CR, "1.2.840.10008.1.2.4.102"),
    "an_unknown_transfer_syntax": (CR, "1.2.3.4.5"),
}.items():
    BAD_PEERS[_name] = lambda node, pair=_pair: refused_context(node, *pair)

# objects that are kept, and turn out to be no radiograph

OBJECTS = {
    "no_pixels": dict(PixelData=None),
    "no_rows": dict(Rows=0),
    "more_rows_than_pixels": dict(Rows=60000, Columns=60000),
    "two_frames": dict(NumberOfFrames=2),
    "minus_one_frames": dict(NumberOfFrames=-1),
    "three_channels": dict(SamplesPerPixel=3),
    "colours_of_a_palette": dict(PhotometricInterpretation="PALETTE COLOR"),
    "64_bits": dict(BitsAllocated=64, BitsStored=64, HighBit=63),
    "a_chest_scanner": dict(Modality="CT"),
    "another_class_within": dict(SOPClassUID=CTImageStorage),
    "a_window_of_text": dict(WindowCenter="", WindowWidth="", Rows=0),
    "no_study": dict(StudyInstanceUID=""),
}
for _name, _values in OBJECTS.items():
    NOTED.add(_name)
    BAD_PEERS[_name] = lambda node, values=_values: store(node, body(radiograph(size=64, **values)))

BYTES = {
    "an_object_of_noise": os.urandom(5000),
    "an_element_that_announces_4_gb": b"\xe0\x7f\x10\x00OW\x00\x00\xfe\xff\xff\xff" + bytes(100),
    "a_sequence_without_an_end": b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff" * 900,
}  # fmt: skip
for _name, _data in BYTES.items():
    NOTED.add(_name)
    BAD_PEERS[_name] = lambda node, data=_data: store(node, data)
PARTS = {"an_object_cut_in_the_middle": slice(3000), "elements_in_the_wrong_order": slice(200, None)}
for _name, _part in PARTS.items():
    NOTED.add(_name)
    BAD_PEERS[_name] = lambda node, part=_part: store(node, body(radiograph(size=64))[part])


@bad_peer
def an_object_of_0_bytes(node):
    assert store(node, b"") in (None, 0xC000)


@bad_peer
def deflated_noise(node):
    return store(node, os.urandom(3000), syntax=DeflatedExplicitVRLittleEndian)


@bad_peer
def compressed_that_is_not(node):
    """Its pixels are as they would be without compression; it is predicted."""
    assert not store(node, body(radiograph(size=64)), syntax=JPEGLSLossless)


@bad_peer
def a_uid_that_names_a_file(node):
    return store(node, body(radiograph(size=64, Rows=0)), uid="../../../../tmp/x")


@bad_peer
def a_uid_of_2000_characters(node):
    assert store(node, body(radiograph(size=64, Rows=0)), uid="1." * 1000) is None


NOTED |= {"deflated_noise", "a_uid_that_names_a_file"}

# requests by HTTP

KIND = b'Content-Type: multipart/related; type="application/dicom"; boundary=x\r\n'
HTTP = {
    "http_4_gb": b"POST /studies HTTP/1.1\r\n" + KIND + b"Content-Length: 4294967296\r\n\r\n",
    "http_minus_one": b"POST /studies HTTP/1.1\r\n" + KIND + b"Content-Length: -1\r\n\r\n",
    "http_no_length": b"POST /studies HTTP/1.1\r\n" + KIND + b"\r\n",
    "http_broken_off": b"POST /studies HTTP/1.1\r\n" + KIND + b"Content-Length: 5000\r\n\r\n--x\r\n\r\nabc",
    "http_chunks_of_noise": b"POST /studies HTTP/1.1\r\n" + KIND + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    "http_chunk_of_4_gb": b"POST /studies HTTP/1.1\r\n" + KIND + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\nabc",
    "http_minus_a_chunk": b"POST /studies HTTP/1.1\r\n" + KIND + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc",
    "http_empty": b"POST /studies HTTP/1.1\r\n" + KIND + b"Content-Length: 0\r\n\r\n",
    "http_text": b"POST /studies HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc",
    "http_no_boundary": b"POST /studies HTTP/1.1\r\nContent-Type: multipart/related\r\nContent-Length: 3\r\n\r\nabc",
    "http_elsewhere": b"POST /../../etc/passwd HTTP/1.1\r\n" + KIND + b"Content-Length: 3\r\n\r\nabc",
    "http_put": b"PUT /studies HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    "http_long_header": b"GET /health HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "http_many_headers": b"GET /health HTTP/1.1\r\n" + b"X: a\r\n" * 5000 + b"\r\n",
    "http_noise": os.urandom(400) + b"\r\n\r\n",
    "http_an_association": request(),
}
for _name, _message in HTTP.items():
    BAD_PEERS[_name] = lambda node, message=_message: say(node.config.http.port, message) and None
