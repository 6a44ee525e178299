"""Whether a file changed since it was read."""

from pathlib import Path

Stamp = tuple[int, int, int] | None


def stamp(file: str | Path | None) -> Stamp:
    """What changes with the file: Kubernetes swaps a link, others write in place. None where there is none."""
    if file is None:
        return None
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
