"""Damage: of a command's arguments, of bytes, of an archive's files, of a payload's numbers, of source."""

from __future__ import annotations

import io
import zipfile
from random import Random

from tests.endurance import material
from tests.endurance.wire import to_bytes
from tests.engine import payloads

MANY_ARGUMENTS = 300
ODD = [b"", b"\0", b"a\0b", b"two\r\nlines", b"\xff\xfe", b"1.5", b"nan", b"-inf", b" 1", b"0x1"]


def arguments(random: Random, command: list[bytes]) -> list[bytes]:
    """Return the command with one to three of its arguments dropped, doubled, swapped or replaced.

    Its name stays; so do the names of commands inside it, since no mutation makes new ones.
    """
    mutated = list(command)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        if len(mutated) < 2:
            return mutated
        at, other = random.randrange(1, len(mutated)), random.randrange(1, len(mutated))
        change = random.randrange(10)
        if change < 2:
            del mutated[at]
        elif change == 2:
            mutated.insert(at, mutated[other])
        elif change == 3:
            mutated[at], mutated[other] = mutated[other], mutated[at]
        elif change == 4:
            mutated = mutated[: at + 1]
        elif change == 5:
            mutated[at:at] = [mutated[at]] * random.randrange(2, MANY_ARGUMENTS)
        else:
            mutated[at] = argument(random, mutated[at])
    return mutated


def argument(random: Random, old: bytes) -> bytes:
    """Return another argument in place of `old`."""
    change = random.randrange(8)
    if change < 3:
        return to_bytes(random.choice(material.HUGE_DIMS + material.DIMS))
    if change == 3:
        return random.choice(material.WORDS).encode()
    if change == 4:
        return random.choice(material.KEYS).encode()
    if change == 5:
        return random.choice(ODD)
    if change == 6:
        return old.swapcase()
    return some_bytes(random, old)


def some_bytes(random: Random, data: bytes) -> bytes:
    """Return `data` cut off, or with bits flipped, bytes replaced, removed or doubled."""
    if not data:
        return b"\0"
    change = random.randrange(5)
    at = random.randrange(len(data))
    size = random.choice([1, 1, 2, 8, 100])
    if change == 0:
        return data[:at]
    if change == 1:
        return data[:at] + data[at + size :]
    if change == 2:
        return data[:at] + data[at : at + size] * 2 + data[at + size :]
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 3, 20])):
        at = random.randrange(len(changed))
        changed[at] = random.choice([0, 1, 0x7F, 0x80, 0xFF, changed[at] ^ 1 << random.randrange(8)])
    return bytes(changed)


def archive(random: Random, data: bytes) -> bytes:
    """Return a model's archive, damaged as bytes, or with one of its files damaged and its checksum right."""
    if random.random() < 0.5:
        return some_bytes(random, data)
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        files = {name: old.read(name) for name in old.namelist()}
    name = random.choice(sorted(files))
    if name.endswith(".py"):
        files[name] = source(random, files[name])
    elif random.random() < 0.1:
        del files[name]
    else:
        files[name] = some_bytes(random, files[name])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for name, content in files.items():
            new.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


def payload(random: Random, data: bytes, other: bytes) -> bytes:
    """Return a payload of DUMP with its content damaged, mostly near the beginning, or that of `other`."""
    content = payloads.content(data)
    change = random.randrange(6)
    if change == 0:
        return payloads.with_content(data, payloads.content(other))
    at = random.randrange(min(len(content), 80) if random.random() < 0.8 else len(content))
    if change == 1:  # a 64-bit number as the format writes it
        number = (random.choice(material.BOUNDARIES) & (1 << 64) - 1).to_bytes(8, "big")
        return payloads.with_content(
            data, content[:at] + b"\x81" + number + content[at + random.randrange(2) :]
        )
    if change == 2:
        return payloads.with_content(data, content[:at])
    if change == 3:
        return payloads.with_content(data, some_bytes(random, content))
    value = random.choice([0, 1, 2, 5, 0x40, 0x7F, 0x80, 0x81, 0xC0, 0xC3, 0xFF])
    return payloads.with_content(data, content[:at] + bytes([value]) + content[at + 1 :])


def source(random: Random, text: bytes) -> bytes:
    """Return TorchScript source with lines or tokens dropped, doubled, swapped or put in."""
    lines = text.split(b"\n")
    for _ in range(random.choice([1, 1, 2, 4])):
        at, other = random.randrange(len(lines)), random.randrange(len(lines))
        change = random.randrange(7)
        if change == 0:
            lines[at] = b""
        elif change == 1:
            lines.insert(at, lines[other])
        elif change == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif change == 3:
            lines[at] = some_bytes(random, lines[at])
        else:
            words = lines[at].split(b" ")
            token = random.choice(material.TOKENS).encode("latin-1")
            words[random.randrange(len(words))] += token
            lines[at] = b" ".join(words)
    return b"\n".join(lines)
