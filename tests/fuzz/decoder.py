"""Coverage-guided fuzzing of the picture reader, no test by itself: `python tests/fuzz/decoder.py --seconds 60`.

What is neither a sane picture nor a refusal, takes more than five seconds or more than 2 GiB ends it with a status
other than 0, and the input is kept in the folder that is printed. Coverage is that of Pillow's Python: its decoders in
C are run, under nobody's eyes but the operating system's.
"""

import argparse
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

with atheris.instrument_imports(include=["PIL", "adapters.image_reading"]):
    from support.damaged_pictures import SEEDS, judged

PNG = b"\x89PNG\r\n\x1a\n"
CHUNK_FRAME = 12
"""Bytes of a PNG chunk around its content: length and name before, checksum after."""
MOST_BYTES = 20_000


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """The fuzzer's own mutation, mostly with a PNG's checksums made right: nothing behind them is reached else."""
    changed = atheris.Mutate(data, most)
    return changed if seed % 4 == 0 else with_checksums(changed)


def with_checksums(data: bytes) -> bytes:
    """The same PNG with the checksum of each chunk that is whole; other data as it is."""
    if not data.startswith(PNG):
        return data
    mended, at = bytearray(data), len(PNG)
    while at + CHUNK_FRAME <= len(mended):
        (length,) = struct.unpack_from(">I", mended, at)
        end = at + CHUNK_FRAME + length
        if end > len(mended):
            break
        struct.pack_into(">I", mended, end - 4, zlib.crc32(mended[at + 4 : end - 4]))
        at = end
    return bytes(mended)


def main() -> None:
    """Fuzz for so many seconds, from the sound pictures of the tests; the corpus can be kept in a folder."""
    parser = argparse.ArgumentParser(description="Fuzz the picture reader.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument(
        "--folder", type=Path, help="corpus and findings; a new one in the temporary folder if left out"
    )
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="greenroom-fuzz-"))
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for kind, data in SEEDS.items():
        (corpus / kind.replace(" ", "-")).write_bytes(data)
    print(f"corpus and findings: {folder}", flush=True)  # noqa: T201
    limits = ["-timeout=5", "-rss_limit_mb=2048", f"-max_len={MOST_BYTES}", f"-max_total_time={chosen.seconds}"]
    arguments = [sys.argv[0], *limits, "-print_final_stats=1", f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup(arguments, judged, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
