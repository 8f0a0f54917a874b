"""The compiled hash (`services/native/blake.h`) is Python's, at every length."""

from hashlib import blake2b

import pytest

from services import native

pytestmark = pytest.mark.skipif(not native.in_use(), reason="nothing is compiled here: Python hashes")


def test_digests_are_pythons_at_every_length() -> None:
    from services.native.blake import blake2b as ours

    data = bytes(n * 37 % 251 for n in range(3000))
    for length in [*range(700), *range(1000, 1300), 2999, 3000]:
        for digest_size in (16, 32):
            part = data[-length:] if length else b""
            assert ours(part, digest_size) == blake2b(part, digest_size=digest_size).digest(), length


def test_other_sizes_of_digest() -> None:
    from services.native.blake import blake2b as ours

    for digest_size in range(1, 65):
        assert ours(b"pumasi", digest_size) == blake2b(b"pumasi", digest_size=digest_size).digest()
    with pytest.raises(ValueError, match="digest_size"):
        ours(b"", 65)
