"""The report of a study: read its folder, draw, write one page."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import mfcl
from mfcl.core.files import write_text
from mfcl.errors import MfclError
from mfcl.report import picture_charts as pictures
from mfcl.report import picture_text as pictured
from mfcl.report import text as sentences
from mfcl.report.audio import clip_sounds
from mfcl.report.embedding_maps import map_data
from mfcl.report.load import Study, read_study
from mfcl.report.sections import sections
from mfcl.report.svg.elements import SHAPES
from mfcl.report.svg.spectrogram import method_picture
from mfcl.report.tables import write_csv
from mfcl.report.tiles import tiles
from mfcl.report.units import duration

ABOUT = ("command", "preset", "protocol", "label", "speaker", "parts", "done", "planned")
"""What the page asks of about.json, none where it is missing."""


def make_report(
    folder: str | Path, *, with_audio: bool = False, figures: Path | None = None, data_root: Path | None = None
) -> Path:
    """Write `report.html` and `results.csv` into a study's folder, from what the study left there.

    The page needs no network and no other file; it can be opened from a disk and sent by mail.

    Args:
        folder: A study's folder.
        with_audio: Put the sound of the clips on the maps into the page.
        figures: A folder for figures as SVG and PNG; they need the extra `figures`.
        data_root: For the sound: where the study's recordings lie now, if they were moved.

    Returns:
        The page.

    Raises:
        MfclError: no study there, sound or matplotlib missing, or a full disk.
    """
    study = read_study(Path(folder))
    if not study.figures and not study.pictures:
        raise MfclError(f"{study.folder}: the study has no figure yet; let `mfcl study` finish a part first")
    page = render(study, with_audio=with_audio, data_root=data_root)
    if figures is not None:
        from mfcl.report.print_export import write_figures

        write_figures(study, figures)
    write_csv(study.folder / "results.csv", study.figures)
    path = study.folder / "report.html"
    write_text(path, page)
    return path


def render(study: Study, *, with_audio: bool = False, data_root: Path | None = None) -> str:
    """Return the page of a study as HTML."""
    maps = map_data(study)
    notes = [str(note) for note in study.about.get("notes") or []]
    if with_audio and maps is not None:
        sounds = clip_sounds(study.folder, maps["clips"], data_root=data_root)
        maps["sounds"] = {
            place: sounds.addresses[name] for place, name in enumerate(maps["clips"]) if name in sounds.addresses
        }
        notes += [f"Sound: {sounds.note}."] if sounds.note else []
    method = study.pictures.get("method") or None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mfcl.report", "page"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html").render(
        about={**dict.fromkeys(ABOUT), "version": mfcl.__version__, **study.about},
        title=_title(study), facts=_facts(study), headline=sentences.headline(study.figures),
        tally=sentences.tally(study.figures), tiles=tiles(study.figures), maps=maps,
        map_json=in_script(maps) if maps else None, audio=bool(maps and maps["sounds"]), sections=sections(study),
        training=pictures.training(study), trained=pictured.trained(study), method=method,
        method_drawings=(method_picture(method, 1040, "wide"), method_picture(method, 348, "narrow")) if method else (),
        crops=_crop_words(method), notes=notes, origin=_origin(study.about), shapes=SHAPES, source=_source,
        bound=_bound,
    )  # fmt: skip


def in_script(value: Any) -> Markup:
    r"""Return JSON that is safe inside a script element, whatever texts it holds.

    Example:
        >>> str(in_script("</script>"))
        '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":  # none of them is JSON's own: they stand in texts only, where an escape means the same
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704  # nothing is left that ends the element


def _bound(text: str) -> str:
    """Return a sentence whose units are never parted from their numbers at the end of a line."""
    return text.replace(" %", "\u00a0%").replace(" dB", "\u00a0dB")


def _source(name: str) -> Markup:
    """Return a style sheet or script of the page."""
    loader = jinja2.PackageLoader("mfcl.report", "page")
    return Markup(loader.get_source(jinja2.Environment(autoescape=True), name)[0])  # noqa: S704  # the package's own file


def _title(study: Study) -> str:
    path = Path(str(study.about.get("data") or study.folder.name))
    return (path.parent.name if path.suffix else path.name) or str(path)


def _facts(study: Study) -> list[tuple[str, str]]:
    """Return what was studied, as (what, how much)."""
    about = study.about
    parts: Mapping[str, Any] = about.get("parts") or {}
    recordings = sum(int(part.get("recordings") or 0) for part in parts.values())
    test = parts.get("test") or {}
    facts = [("recordings", f"{recordings:,}")]
    tested = f"{int(test.get('recordings') or 0):,}"
    if about.get("speaker"):
        name = f"{about['speaker']}s"
        voices = _voices(study) or sum(int(part.get("speakers") or 0) for part in parts.values())
        facts.append((name, f"{voices:,}"))
        tested += f" of {int(test.get('speakers') or 0):,} {name}"
    facts.append(("tested on", tested))
    facts += [("label", str(about["label"]))] if about.get("label") else []
    seeds = [str(seed) for seed in about.get("seeds") or []]
    facts.append(("recipe", str(about.get("recipe") or "–")))  # noqa: RUF001
    facts.append(("seeds" if len(seeds) != 1 else "seed", ", ".join(seeds) or "–"))  # noqa: RUF001
    return facts


def _voices(study: Study) -> int:
    """Count the speakers in the study's manifest: one may be in several parts, whose counts cannot be added then."""
    path = study.folder / "manifest.csv"
    if not path.is_file() or study.speaker is None:
        return 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        return len({row[study.speaker] for row in csv.DictReader(file) if row.get(study.speaker)})


def _origin(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a reader needs to have the figures again, besides the command."""
    seconds = about.get("seconds")
    found = (
        ("seeds", ", ".join(str(seed) for seed in about.get("seeds") or [])),
        ("data", str(about.get("fingerprint") or "")),
        ("machine", str(about.get("machine") or "")),
        ("time", f"{math.ceil(float(seconds)):,} s ({duration(float(seconds))})" if seconds is not None else ""),
        ("mfcl", str(about.get("version") or "")),
    )
    return [(name, text) for name, text in found if text]


def _crop_words(method: Mapping[str, Any] | None) -> str:
    """Say where the two crops of the method's picture lie."""
    crops = (method or {}).get("crops") or []
    if method is None or len(crops) < 2:
        return ""
    (_, b), (c, d) = sorted((float(start), float(end)) for start, end in crops[:2])
    shared = min(b, d) - c
    apart = (
        f"they share {shared:.2f} s" if shared > 0 else f"nothing of one is in the other, {-shared:.2f} s lie between"
    )
    first, second = (float(end) - float(start) for start, end in crops[:2])
    return f"Of {float(method['seconds']):.2f} s, crop A has {first:.2f} s and crop B {second:.2f} s; {apart}."
