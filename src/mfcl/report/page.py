"""The report of a study: read its folder, draw, write one page."""

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

import mfcl
from mfcl.core.files import write_text
from mfcl.core.urls import local_path
from mfcl.errors import MfclError
from mfcl.report import facts, glossary, picture_charts, picture_text, text
from mfcl.report.audio import clip_sounds
from mfcl.report.embedding_maps import map_data
from mfcl.report.glossary import SPOKEN
from mfcl.report.load import Study, read_study
from mfcl.report.phrases import shortened
from mfcl.report.sections import sections
from mfcl.report.svg.elements import SHAPES
from mfcl.report.svg.spectrogram import method_picture
from mfcl.report.tables import write_csv
from mfcl.report.tiles import tiles

TERMS = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(SPOKEN, key=len, reverse=True)))})(?![\w-])")
"""The terms that sentences and legends explain on hover; of two that begin alike the longer one counts."""
NOTES = 3
"""Notes on the first screen; the others stand with the origin."""
WARNINGS = 8
"""Most warnings on the first screen."""
LETTERS = 400
"""Letters of a note on the page; the whole is shown on hover."""


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
        MfclError: no study there, a damaged file, sound or matplotlib missing, or a full disk.
    """
    study = read_study(local_path(folder, "study"))
    if not study.results and not study.pictures:
        raise MfclError(f"{study.folder}: the study has no figure yet; let `mfcl study` finish a part first")
    page = render(study, with_audio=with_audio, data_root=data_root)
    if figures is not None:
        from mfcl.report.print_export import write_figures

        write_figures(study, figures)
    write_csv(study.folder / "results.csv", study.results)
    path = study.folder / "report.html"
    write_text(path, page)
    return path


def render(study: Study, *, with_audio: bool = False, data_root: Path | None = None) -> str:
    """Return the page of a study as HTML."""
    maps = map_data(study)
    ids = maps.pop("ids") if maps is not None else []
    notes = facts.notes(study)
    if with_audio and maps is not None:
        sounds = clip_sounds(study.folder, ids, data_root=data_root)
        maps["sounds"] = {place: sounds.addresses[name] for place, name in enumerate(ids) if name in sounds.addresses}
        notes += [f"Sound: {sounds.note}."] if sounds.note else []
    method = study.pictures.method
    return template("page.html").render(
        about=study.about, version=mfcl.__version__, title=facts.title(study), facts=facts.first(study),
        headline=text.headline(study), tally=text.tally(study), tally_note=text.tally_note(study),
        tiles=tiles(study.summaries), maps=maps,
        map_json=in_script(maps) if maps else None, audio=bool(maps and maps["sounds"]), sections=sections(study),
        training=picture_charts.training(study.pictures), trained=picture_text.trained(study.pictures), method=method,
        method_drawings=(method_picture(method, 1040, "wide"), method_picture(method, 348, "narrow")) if method else (),
        crops=facts.crop_words(method) if method else "", notes=notes, foremost=_foremost(notes), letters=LETTERS,
        origin=facts.origin(study.about), interval=facts.interval_words(study), terms=glossary.terms(),
        shapes=SHAPES, source=source, bound=_bound, told=told,
    )  # fmt: skip


def _foremost(notes: Sequence[str]) -> int:
    """Return how many notes the first screen shows: every warning, within reason, or a few others."""
    return min(max(NOTES, sum(text.startswith(facts.WARNING) for text in notes)), WARNINGS)


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


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return a template of the package."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mfcl.report", "template"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["short"] = shortened
    return environment.get_template(name)


def _bound(text: str) -> str:
    """Return a sentence whose units are never parted from their numbers at the end of a line."""
    return text.replace(" %", "\u00a0%").replace(" dB", "\u00a0dB")


def told(text: str) -> Markup:
    """Return a sentence, or a name, in which each term of the field says on hover what it means, where it comes first.

    Example:
        >>> str(told("a minDCF & a minDCF")).replace(SPOKEN["minDCF"], "...")
        'a <span class="term" title="...">minDCF</span> &amp; a minDCF'
    """
    seen: set[str] = set()

    def mark(found: re.Match[str]) -> str:
        word = found[0]
        if word in seen:
            return word
        seen.add(word)
        return f'<span class="term" title="{escape(SPOKEN[word])}">{word}</span>'

    return Markup(TERMS.sub(mark, str(escape(_bound(text)))))  # noqa: S704  # escaped before terms are marked


def source(name: str) -> Markup:
    """Return a style sheet or script of the page."""
    loader = jinja2.PackageLoader("mfcl.report", "template")
    return Markup(loader.get_source(jinja2.Environment(autoescape=True), name)[0])  # noqa: S704  # the package's own file
