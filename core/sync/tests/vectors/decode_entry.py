"""Decoder of sync entries, written from docs/protocol.md alone.

Reads entries.json beside it, decodes every vector and compares: python3 decode_entry.py
"""
import json
import pathlib
import struct
import sys


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

    def u8(self):
        return self.take(1)[0]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if (byte == 0 and shift > 0) or value >= 1 << 64:
                    raise Malformed("number")
                return value
            shift += 7
            if shift > 63:
                raise Malformed("number")

    def signed(self):
        value = self.varint()
        return value >> 1 if value & 1 == 0 else -(value >> 1) - 1

    def bytes(self):
        return self.take(self.varint())

    def text(self):
        try:
            return self.bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("utf-8") from error


def wrap(value):
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


SCALARS = {0: "int", 1: "bool", 2: "string", 4: "binary", 8: "timestamp", 9: "float", 10: "double"}
CODES = ["add_class", "add_property", "create", "delete", "set", "increment", "list_insert",
         "list_set", "list_remove", "list_move"]


class Entry:
    def __init__(self, data):
        if len(data) > 1 << 20:
            raise Malformed("limit")
        self.r = Reader(data)
        if self.r.u8() != 1:
            raise Malformed("version")
        self.names = []
        self.klass = self.key_before = self.property_before = self.inserted = None
        self.last_int = 0
        self.header = [self.r.varint(), self.r.varint(), self.r.varint()]
        if self.header[0] == 0:
            raise Malformed("client_seq")
        self.operations = []
        while self.r.at < len(data):
            self.operations.append(self.operation())
        if not 1 <= len(self.operations) <= 65535:
            raise Malformed("limit")

    def name(self):
        head = self.r.varint()
        if head & 1:
            if head >> 1 >= len(self.names):
                raise Malformed("name")
            return self.names[head >> 1]
        if not 1 <= head >> 1 <= 255:
            raise Malformed("limit")
        try:
            name = self.r.take(head >> 1).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("utf-8") from error
        if name in self.names:
            raise Malformed("name")
        self.names.append(name)
        return name

    def element(self):
        author = self.r.varint()
        if author >= 1 << 32:
            raise Malformed("number")
        return [author, self.r.varint()]

    def key(self):
        code = self.r.u8()
        if code == 0:
            return None
        if code == 1:
            return {"int": wrap(self.last_int + self.r.signed())}
        if code == 2:
            text = self.r.text()
            if len(text.encode()) > 1024:
                raise Malformed("limit")
            return {"string": text}
        if code == 3:
            return {"generated": self.element()}
        raise Malformed("code")

    def anchor(self):
        code = self.r.u8()
        if code == 0:
            return "head"
        if code in (1, 2):
            return {("after", "before")[code - 1]: self.element()}
        raise Malformed("code")

    def value(self):
        code = self.r.u8()
        if code == 0:
            return None
        if code in (1, 2):
            return code == 2
        if code == 3:
            return {"int": self.r.signed()}
        if code == 4:
            return {"float": struct.unpack("<I", self.r.take(4))[0]}
        if code == 5:
            return {"double": struct.unpack("<Q", self.r.take(8))[0]}
        if code == 6:
            return {"string": self.r.text()}
        if code == 7:
            return {"binary": self.r.bytes().hex()}
        if code == 8:
            seconds, nanoseconds = self.r.signed(), self.r.varint()
            if nanoseconds >= 1_000_000_000:
                raise Malformed("limit")
            return {"timestamp": [seconds, nanoseconds]}
        if code == 9:
            return {"link": [self.name(), self.key()]}
        raise Malformed("code")

    def kind(self):
        code = self.r.u8()
        if code == 12:
            return {"link": self.name()}
        if code == 13:
            return {"link_list": self.name()}
        if code == 15:
            return "counter"
        if code % 128 not in SCALARS:
            raise Malformed("code")
        nullable = self.r.u8()
        if nullable > 1:
            raise Malformed("code")
        return {"list" if code >= 128 else "scalar": [SCALARS[code % 128], nullable == 1]}

    def check(self, holds, flag):
        if holds != bool(flag):
            raise Malformed("flag")

    def operation(self):
        head = self.r.u8()
        code, flags = head & 15, head & 0xF0
        if code > 9:
            raise Malformed("code")
        allowed = [0x10, 0x50, 0x30, 0x30, 0x70, 0x70, 0xF0, 0x70, 0x70, 0x70][code]
        if flags & ~allowed or flags & 0x30 == 0x30:
            raise Malformed("flag")
        if flags & 0x30 and self.klass is None:
            raise Malformed("flag")
        if flags & 0x20 and self.key_before is None:
            raise Malformed("flag")
        klass = self.klass if flags & 0x30 else self.name()
        operation = {"operation": CODES[code], "class": klass}
        if code < 2:
            self.check(klass == self.klass, flags & 0x10)
            self.klass, self.key_before = klass, None
        else:
            key = self.key_before[0] if flags & 0x20 else self.key()
            same = klass == self.klass and self.key_before == [key]
            self.check(same, flags & 0x20)
            self.check(klass == self.klass and not same, flags & 0x10)
            self.klass, self.key_before = klass, [key]
            if key is not None and "int" in key:
                self.last_int = key["int"]
            operation["key"] = key
        if code == 0:
            primary = self.r.u8()
            if primary > 4:
                raise Malformed("code")
            operation["primary_key"] = primary and [
                self.name(), "string" if primary > 2 else "int", primary % 2 == 0]
            operation["primary_key"] = operation["primary_key"] or None
            return operation
        if code in (2, 3):
            return operation
        if flags & 0x40 and self.property_before is None:
            raise Malformed("flag")
        name = self.property_before if flags & 0x40 else self.name()
        self.check(name == self.property_before, flags & 0x40)
        self.property_before = operation["property"] = name
        if code == 1:
            operation["type"] = self.kind()
        elif code == 4:
            operation["value"] = self.value()
        elif code == 5:
            operation["by"] = self.r.signed()
        elif code == 6:
            self.insert(operation, flags & 0x80)
        else:
            operation["element"] = self.element()
            if code == 7:
                operation["value"] = self.value()
            if code == 9:
                operation["anchor"] = self.anchor()
        return operation

    def insert(self, operation, flag):
        last = self.inserted
        following = last and last[1] + 1 < 1 << 64 and [last[0], last[1] + 1]
        if flag and not following:
            raise Malformed("flag")
        element = following if flag else self.element()
        anchor = {"after": last} if flag else self.anchor()
        self.check(bool(following) and element == following and anchor == {"after": last}, flag)
        operation.update(element=element, anchor=anchor, value=self.value())
        self.inserted = element


def main():
    vectors = json.loads((pathlib.Path(__file__).parent / "entries.json").read_text())
    for vector in vectors["entries"]:
        data = bytes.fromhex("".join(part for part, _ in vector["bytes"]))
        entry = Entry(data)
        found = dict(zip(("client_seq", "base", "stamp"), entry.header))
        found["operations"] = entry.operations
        assert found == vector["entry"], (vector["name"], found)
    for vector in vectors["malformed"]:
        try:
            Entry(bytes.fromhex(vector["bytes"]))
        except Malformed:
            continue
        sys.exit(f"{vector['name']} was decoded")
    print(f"{len(vectors['entries'])} entries, {len(vectors['malformed'])} malformed")


if __name__ == "__main__":
    main()
