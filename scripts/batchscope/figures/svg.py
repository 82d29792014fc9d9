"""The SVG that Matplotlib writes, made short without a difference that anyone sees."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

TIP = "tip: "  # how the id of a marker begins that carries words
LONG_PATH = 8  # vertices
UNSEEN = 0.12  # points by which a long path may pass a vertex, a twenty-fifth of a millimetre


def compact(svg: str, mark: str) -> str:
    """The same drawing with short paths and ids, places to a hundredth of a point, and styles said once.

    All its ids start with `mark`, which is that of the whole and confines its styles to it.
    """
    svg = re.sub(r" *<metadata>.*?</metadata>\n", "", svg, flags=re.DOTALL)
    svg = re.sub(r' *<path d=[^>]*style="fill: none"/>\n', "", svg)  # neither filled nor stroked
    if font := re.search(r"font-family: [^;\"]*", svg):
        svg = svg.replace(f"{font[0]}; ", "").replace("<svg ", f'<svg style="{font[0]}" ', 1)
    svg = _SPOT.sub(_circle, svg)
    svg = re.sub(r'( d=")([ML\d.\s-]+z?)\s*"', lambda found: f'{found[1]}{_short(found[2])}"', svg)
    svg = re.sub(r'( (?:d|x|y|cx|cy)=")([^"]*)"', lambda found: f'{found[1]}{_rounded(found[2])}"', svg)
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = _NUMBERED.sub(lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = _with_classes(_with_short_ids(_without_bare_groups(svg), mark), mark)
    return re.sub(r"\n\s*", "\n", svg)


def _with_short_ids(svg: str, mark: str) -> str:
    """The drawing with numbers for ids that Matplotlib makes of a digest: those of markers and clip paths."""
    digests = rf"{mark}-\w*[0-9a-f]{{10}}\b"
    short = {found: f"{mark}-{i}" for i, found in enumerate(dict.fromkeys(re.findall(f'id="({digests})"', svg)))}
    return re.sub(digests, lambda found: short.get(found[0], found[0]), svg)


def _with_classes(svg: str, mark: str) -> str:
    """The drawing with a class for every style and clip path that elements share.

    Markers keep their own style: what `<use>` clones is not found by a rule that is confined to one drawing.
    """
    parts = re.split(r"(<defs>.*?</defs>)", svg, flags=re.DOTALL)
    counts = Counter(look for part in parts[::2] for found in _LOOKS.finditer(part) for look in _looks(found))
    shared = [look for look, count in counts.items() if count > 1]
    names = {look: f"{chr(ord('a') + i % 26)}{i // 26 or ''}" for i, look in enumerate(shared)}

    def named(found: re.Match[str]) -> str:
        looks = _looks(found)
        classes, own = [names[look] for look in looks if look in names], [look for look in looks if look not in names]
        words = f' class="{" ".join(classes)}"' if classes else ""
        return words + (f' style="{"; ".join(own)}"' if own else "")

    parts[::2] = [_LOOKS.sub(named, part) for part in parts[::2]]
    rules = "".join(f"#{mark} .{name}{{{look}}}" for look, name in names.items())
    own = '<style type="text/css">'
    return "".join(parts).replace(own, f"{own}{rules}#{mark} ", 1)


_LOOKS = re.compile(r'(?: clip-path="([^"]*)")? style="([^"]*)"')


def _looks(found: re.Match[str]) -> list[str]:
    clip, style = found.groups()
    return [*([f"clip-path: {clip}"] if clip else []), style]


def _without_bare_groups(svg: str) -> str:
    """The drawing without groups that have neither an id nor a style."""
    bare: list[bool] = []

    def kept(tag: re.Match[str]) -> str:
        if tag[0] != "</g>":
            bare.append(tag[0] == "<g>")
            return "" if bare[-1] else tag[0]
        return "" if bare.pop() else tag[0]

    return re.sub(r"<g>|<g [^>]*[^/>]>|</g>", kept, svg)


# The ids that Matplotlib gives to all its groups, as `f0a1b2c3d-xtick_1`; a clip path, say, is referred to by its own.
_NUMBERED = re.compile(r' id="(f[0-9a-f]+-[\w.]+_\d+)"')


# Matplotlib's group of a single marker whose id is a tip.
_SPOT = re.compile(rf' *<g id="[^"]*{TIP}([^"]*)">\n.*?<use [^>]*?x="([^"]*)" y="([^"]*)".*?</g>\n *</g>\n', re.DOTALL)


def _circle(spot: re.Match[str]) -> str:
    """A spot with a title, as browsers show it beside the pointer."""
    words, x, y = spot.groups()
    return f'<circle class="tip" cx="{x}" cy="{y}" r="8" fill-opacity="0"><title>{words}</title></circle>\n'


def _short(path: str) -> str:
    """A path of straight lines without the vertices that nobody sees, and a long one in steps of a tenth of a point."""
    pieces = [
        np.array(re.findall(r"-?[\d.]+", piece), dtype=np.float64).reshape(-1, 2) for piece in path.split("M")[1:]
    ]
    if max(map(len, pieces)) < LONG_PATH:
        return path
    closed = "z" if path.rstrip().endswith("z") else ""
    return "".join(_steps(np.rint(10 * piece[_seen(piece)]).astype(int)) for piece in pieces) + closed


def _steps(places: NDArray[np.int_]) -> str:
    steps = np.diff(places, axis=0)
    steps = steps[steps.any(axis=1)] if len(places) > 2 else steps
    start = f"M{places[0, 0] / 10:g} {places[0, 1] / 10:g}"
    return f"{start}l{' '.join(f'{x / 10:g} {y / 10:g}' for x, y in steps)}" if len(steps) else start


def _seen(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which vertices a line needs to pass within `UNSEEN` of all of them (Ramer, Douglas and Peucker)."""
    kept = np.zeros(len(points), dtype=bool)
    kept[[0, -1]] = True
    open_ends = [(0, len(points) - 1)]
    while open_ends:
        first, last = open_ends.pop()
        if last - first < 2:
            continue
        away = _distances(points[first + 1 : last], points[first], points[last])
        furthest = int(away.argmax())
        if away[furthest] > UNSEEN:
            middle = first + 1 + furthest
            kept[middle] = True
            open_ends += [(first, middle), (middle, last)]
    return kept


def _distances(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far `points` lie from the line between `start` and `end`."""
    along = end - start
    length = float(along @ along)
    share = np.clip((points - start) @ along / length, 0, 1) if length else np.zeros(len(points))
    distances: NDArray[np.float64] = np.hypot(*(points - start - share[:, None] * along).T)
    return distances


def _rounded(places: str) -> str:
    """Places to a hundredth of a point, without the zeros and spaces that a path can do without: `.5.25-3L1 2`."""
    short = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), places)
    short = re.sub(r"(?<![\d.])0\.", ".", re.sub(r"\s+", " ", short))
    return re.sub(r" ?([A-Za-z]) ?| (?=-)|(?<=\.\d) (?=\.)|(?<=\.\d\d) (?=\.)", r"\1", short).strip()
