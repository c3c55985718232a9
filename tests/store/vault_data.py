"""Records for tests of the vault, and a process that fills an entry until it is stopped."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from dashboard.store.vault import Vault
from dashboard.store.vault_errors import VaultUnwritable
from dashboard.store.vault_frame import Record

MANY = 1 << 40
DAY = 86400.0


def records(count: int, seed: int = 0, dump: int = 60) -> list[Record]:
    """Different for each seed. Their dumps hold any bytes, and do not compress."""
    luck = random.Random(seed)
    return [
        (b"key:%d:%d\xff" % (seed, at), luck.choice([-1, at * 1000]), 10**12 + at, luck.randbytes(dump))
        for at in range(count)
    ]


def vault(folder: Path, most_bytes: int = MANY, seconds: float = DAY) -> Vault:
    return Vault(folder / "vault", most_bytes, seconds)


def fill(folder: Path, number: int, per_frame: int = 200) -> None:
    """Append frames for ever, each of which is told on standard output once it is safe; what refuses is told too."""
    with vault(folder).writer(number) as writer:
        while True:
            frame = writer.frame_count
            try:
                writer.append(records(per_frame, frame))
            except VaultUnwritable as error:
                print("refused", error.sentence, flush=True)
                return
            writer.note(f'{{"frames": {frame + 1}}}')
            print(frame, flush=True)


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
