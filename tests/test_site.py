"""The documentation site builds without a warning, holds every public name, and needs no network."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

import mfcl

ROOT = Path(__file__).parents[1]
BUILDER = ("sphinx", "furo", "myst_parser")
LACKING = [name for name in BUILDER if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages, with warnings as errors."""
    if LACKING:
        pytest.skip(f"{', '.join(LACKING)} not installed: pip install --group docs")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", f"{out}/doctrees"]
    done = subprocess.run(
        [*command, ROOT / "docs", out / "html"],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out / "html"


def test_every_public_name_has_its_place_in_the_reference() -> None:
    pages = [ROOT / "docs" / "reference" / f"{name}.rst" for name in ("functions", "classes")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    listed = re.findall(r"^\.\. auto(?:function|class|exception):: (\w+)$", text, flags=re.MULTILINE)
    assert sorted(listed) == sorted(mfcl.__all__), "name it in docs/reference/functions.rst or classes.rst"


def test_every_public_name_and_block_is_told_with_its_docstring(site: Path) -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    told = set(re.findall(r'<dt class="sig[^>]* id="([^"]+)"', pages))
    wanted = {f"mfcl.{name}" for name in mfcl.__all__}
    for package in ("models", "views", "hear", "hub"):
        module = importlib.import_module(f"mfcl.{package}")
        own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        names = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
        assert len(names) >= 2
        wanted |= {f"mfcl.{package}.{name}" for name in names}
    assert sorted(wanted - told) == []


def test_no_page_loads_anything_from_the_network(site: Path) -> None:
    loaded = re.compile(r"""<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=["'](?:https?:)?//[^"']*["']""")
    for page in site.rglob("*.html"):
        assert not loaded.findall(page.read_text(encoding="utf-8")), page
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_link_of_a_page_leads_to_a_page_and_a_place_that_are_there(site: Path) -> None:
    texts = {page.resolve(): page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    places = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in texts.items()}
    found = 0
    for page, text in texts.items():
        for link in re.findall(r'<(?:a|img)\b[^>]*\b(?:href|src)="([^"]+)"', text):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, place = unquote(link).partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), f"{page.name}: {link}"
            if place and target in places:
                assert place in places[target], f"{page.name}: {link}"
                found += 1
    assert found > 100
