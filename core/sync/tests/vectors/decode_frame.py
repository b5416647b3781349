"""Decoder of sync frames, written from docs/protocol.md alone.

Reads frames.json beside it, decodes every vector and compares: python3 decode_frame.py

Zstandard is a part of Python from 3.14, and the package zstandard before. Without it, a compressed
vector is decoded from its body without compression.
"""
import json
import pathlib
import sys

try:
    from compression.zstd import ZstdError, decompress
except ImportError:
    try:
        from zstandard import ZstdDecompressor, ZstdError

        def decompress(data):
            return ZstdDecompressor().decompress(data)
    except ImportError:
        decompress, ZstdError = None, ValueError


class Malformed(Exception):
    pass


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed("ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def u8(self):
        return self.take(1)[0]

    def varint(self, least=0, most=(1 << 64) - 1):
        value, shift = 0, 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 63:
                raise Malformed("number")
        if (byte == 0 and shift > 7) or not least <= value <= most:
            raise Malformed("number")
        return value

    def fixed(self):
        return int.from_bytes(self.take(8), "little")

    def bytes(self, most, least=0):
        count = self.varint()
        if not least <= count <= most:
            raise Malformed("limit")
        return self.take(count)

    def text(self, most):
        try:
            return self.bytes(most).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("utf-8") from error

    def flag(self):
        value = self.u8()
        if value > 1:
            raise Malformed("value")
        return value == 1


U16, U32, MIB = (1 << 16) - 1, (1 << 32) - 1, 1 << 20


def varint(least=0, most=(1 << 64) - 1):
    return lambda r: r.varint(least, most)


def text(most):
    return lambda r: r.text(most)


def fixed(r):
    return r.fixed()


def flag(r):
    return r.flag()


def action(r):
    value = r.u8()
    if value > 5:
        raise Malformed("value")
    return value


def entry(r):
    return r.bytes(MIB, least=1).hex()


def entries(r):
    return [entry(r) for _ in range(r.varint(1, 65535))]


def item(r):
    kind = r.u8()
    if kind == 0:
        return {"client": r.varint(1, U32), "entry": entry(r)}
    if kind == 1:
        return {"client_seq": r.varint(1), "stamp": r.varint()}
    raise Malformed("value")


def items(r):
    return [item(r) for _ in range(r.varint(1, 65535))]


def part(r):
    return r.bytes(MIB).hex()


def root(r):
    return r.take(32).hex() if r.flag() else None


CONNECTION, SESSION, ANY = "connection", "session", "any"
FRAMES = {
    1: ("HELLO", CONNECTION, [
        ("version_min", varint(1, U32)), ("version_max", varint(1, U32)), ("features", varint()),
        ("now_ms", varint()), ("library", text(255))]),
    2: ("WELCOME", CONNECTION, [
        ("version", varint(1, U32)), ("features", varint()), ("now_ms", varint()),
        ("window_bytes", varint(MIB, 256 * MIB)), ("ping_ms", varint(1000, 3_600_000)),
        ("connection", fixed)]),
    3: ("AUTH", CONNECTION, [("token", text(8192))]),
    4: ("AUTH_OK", CONNECTION, [("user", text(255)), ("expires_at_ms", varint())]),
    5: ("BIND", SESSION, [("path", text(1024)), ("schema_hash", fixed), ("wants_identity", flag)]),
    6: ("IDENT", SESSION, [("client", varint(1, U32)), ("client_salt", fixed)]),
    7: ("RESUME", SESSION, [
        ("client", varint(1, U32)), ("client_salt", fixed), ("epoch", fixed), ("cursor", varint()),
        ("cursor_salt", fixed), ("last_client_seq", varint()), ("chain_hash", fixed),
        ("oldest_base", varint())]),
    8: ("RESUMED", SESSION, [
        ("epoch", fixed), ("head", varint()), ("horizon", varint()), ("durable_seq", varint()),
        ("last_client_seq", varint()), ("chain_hash", fixed)]),
    9: ("UPLOAD", SESSION, [("oldest_base", varint()), ("entries", entries)]),
    10: ("ACK", SESSION, [("last_client_seq", varint()), ("durable_seq", varint())]),
    11: ("REJECT", SESSION, [
        ("client_seq", varint(1)), ("code", varint(0, U16)), ("operation", varint(0, U32)),
        ("reason", text(1024))]),
    12: ("DOWNLOAD", SESSION, [
        ("from", varint()), ("salt", fixed), ("head", varint()), ("horizon", varint()),
        ("durable_seq", varint()), ("bytes_left", varint()), ("items", items)]),
    13: ("CREDIT", SESSION, [("bytes", varint(1, 256 * MIB))]),
    14: ("MARK", SESSION, [("number", varint())]),
    15: ("SNAP_GET", SESSION, [("snapshot", varint()), ("offset", varint())]),
    16: ("SNAP", SESSION, [
        ("snapshot", varint(1)), ("epoch", fixed), ("seq", varint()), ("salt", fixed),
        ("horizon", varint()), ("total", varint()), ("offset", varint()), ("part", part),
        ("root", root)]),
    17: ("PROGRESS", SESSION, [("cursor", varint()), ("oldest_base", varint())]),
    18: ("UNBIND", SESSION, []),
    19: ("UNBOUND", SESSION, []),
    20: ("PING", CONNECTION, [("now_ms", varint()), ("round_trip_ms", varint())]),
    21: ("PONG", CONNECTION, [("now_ms", varint())]),
    22: ("ERROR", ANY, [
        ("code", varint(0, U16)), ("action", action), ("retry_after_ms", varint(0, 86_400_000)),
        ("message", text(1024)), ("log_reference", text(255))]),
}


def check(name, fields):
    if name == "HELLO" and fields["version_min"] > fields["version_max"]:
        raise Malformed("value")
    if name == "DOWNLOAD" and fields["from"] + len(fields["items"]) > fields["head"]:
        raise Malformed("value")
    if name == "SNAP":
        end = fields["offset"] + len(fields["part"]) // 2
        if end > fields["total"] or (end == fields["total"]) != (fields["root"] is not None):
            raise Malformed("value")


def extensions(r):
    found = []
    for _ in range(r.varint(1, 64)):
        feature, data = r.u8(), r.take(r.varint())
        if feature > 63 or (found and feature <= found[-1][0]):
            raise Malformed("extension")
        found.append([feature, data.hex()])
    return found


def decode(data, plain=None):
    """Decodes a frame. `plain` is its body without compression, if Zstandard is missing."""
    if len(data) > 2 * MIB:
        raise Malformed("limit")
    r = Reader(data)
    kind, flags = r.u8(), r.u8()
    if kind not in FRAMES or flags & ~3:
        raise Malformed("type or flag")
    name, scope, layout = FRAMES[kind]
    session = r.varint(0, U32)
    if scope != ANY and (session == 0) != (scope == CONNECTION):
        raise Malformed("session")
    if flags & 1:
        length = r.varint(512, 2 * MIB)
        try:
            body = decompress(r.rest()) if decompress else plain
        except ZstdError as error:
            raise Malformed("compression") from error
        if body is None or len(body) != length:
            raise Malformed("compression")
        r = Reader(body)
    fields = {field: read(r) for field, read in layout}
    check(name, fields)
    frame = {"type": name, "session": session, "fields": fields}
    if flags & 2:
        frame["extensions"] = extensions(r)
    if r.at != len(r.data):
        raise Malformed("trailing")
    return frame


def main():
    vectors = json.loads((pathlib.Path(__file__).parent / "frames.json").read_text())
    for vector in vectors["frames"]:
        data = bytes.fromhex("".join(part for part, _ in vector["bytes"]))
        found = decode(data, bytes.fromhex(vector.get("body", "")))
        assert found == vector["frame"], (vector["name"], found)
    for vector in vectors["malformed"]:
        try:
            decode(bytes.fromhex(vector["bytes"]))
        except Malformed:
            continue
        sys.exit(f"{vector['name']} was decoded")
    zstd = "with" if decompress else "without"
    print(f"{len(vectors['frames'])} frames, {len(vectors['malformed'])} malformed, {zstd} Zstandard")


if __name__ == "__main__":
    main()
