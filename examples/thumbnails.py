"""CPU work, in parallel, with retries: pictures are made small, and what came out is gathered.

    wsup start --app thumbnails:app      # in this folder; it brings a PostgreSQL if none is named
    python thumbnails.py                 # in another terminal, same folder

What may get better is an exception: it is tried again. What can't is a Cancel.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

from wsup import App, Backoff, Cancel, JobCancelled

app = App()


@dataclass
class Size:
    width: int
    height: int


@app.task(retries=5, backoff=Backoff(first=0.2, factor=2), timeout=30)
def shrink(picture: str, factor: int = 4) -> Size:
    """Make a grey picture (PGM) smaller by `factor`, next to itself. Raises OSError."""
    header, _, pixels = Path(picture).read_bytes().partition(b"\n")
    kind, *numbers = header.split()
    if kind != b"P5":
        raise Cancel(f"{Path(picture).name} is no PGM")
    width, height, _ = map(int, numbers)
    small = bytes(
        _mean(pixels, width, x, y, factor)
        for y in range(0, height - factor + 1, factor)
        for x in range(0, width - factor + 1, factor)
    )
    size = Size(width // factor, height // factor)
    # A job may run twice if its host dies in between. So nobody ever sees half a picture, and the
    # second time makes no difference.
    new = Path(f"{picture}.{os.getpid()}.new")
    new.write_bytes(b"P5 %d %d 255\n" % (size.width, size.height) + small)
    new.replace(f"{picture}.small")
    return size


def _mean(pixels: bytes, width: int, x: int, y: int, factor: int) -> int:
    rows = (pixels[row * width + x : row * width + x + factor] for row in range(y, y + factor))
    return sum(map(sum, rows)) // factor**2


def main() -> None:
    with TemporaryDirectory() as folder:
        pictures = [_paint(Path(folder, f"{number}.pgm")) for number in range(40)]
        jobs = shrink.enqueue_many(shrink.args(str(picture)) for picture in pictures)

        late = shrink.enqueue(f"{folder}/late.pgm")
        Timer(0.5, _paint, [Path(folder, "late.pgm")]).start()

        Path(folder, "broken.pgm").write_text("no picture")
        broken = shrink.enqueue(f"{folder}/broken.pgm")

        sizes = [job.result(timeout=30) for job in jobs]
        print(f"{len(sizes)} pictures are small now, the first one {sizes[0]}")
        print(f"late.pgm: {late.result(timeout=30)}, as soon as it was there")
        try:
            broken.result(timeout=30)
        except JobCancelled as error:
            print(f"broken.pgm: {error.reason}")


def _paint(path: Path, width: int = 160, height: int = 120) -> Path:
    path.write_bytes(b"P5 %d %d 255\n" % (width, height) + os.urandom(width * height))
    return path


if __name__ == "__main__":
    main()
