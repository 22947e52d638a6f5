"""Pages: their code runs, links lead somewhere, every public name has a place."""

import importlib
import inspect
import pathlib
import re

import pytest

import zeroone_jax
from experiments import reproduce
from tests import blocks

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for page in DOCS.rglob("*.md") if "notebooks" not in page.parts),
]


def name(page: pathlib.Path) -> str:
    return str(page.relative_to(ROOT))


def runnable() -> list:
    """A parameter for each page with code, marked as the page says."""
    found = []
    for page in PAGES:
        code = blocks.of(page)
        reasons = [block.why for block in code if block.mark in ("slow", "computes")]
        marks = [pytest.mark.slow(reasons[0])] if reasons else []
        if any(block.mark == "computes" for block in code):
            marks.append(pytest.mark.computes)
        if code:
            found.append(pytest.param(page, id=name(page), marks=marks))
    return found


@pytest.mark.parametrize("page", runnable())
def test_code_runs_as_pasted(page):
    blocks.run(page)


def test_blocks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1.0\nprint('x is', x)\n```\n\n```text\nx is 1.01\n```\n"
        "<!-- not run: never -->\n\n```python\nraise ValueError\n```\n"
        "<!-- needs: no_such_package -->\n\n```python\nimport no_such_package\n```\n"
    )
    assert [block.mark for block in blocks.of(page)] == ["", "not run", "needs"]
    blocks.run(page)
    for told in ("x is 3.0", "y is 1.0", "x is 1.0 1.0"):
        page.write_text(f"```python\nprint('x is 1.0')\n```\n\n```text\n{told}\n```\n")
        with pytest.raises(AssertionError, match=r"page\.md, line 1: printed"):
            blocks.run(page)


LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if "://" in link or not target:
            continue
        path = page.parent / target
        assert path.exists(), f"{name(page)} links to {link}"
        if anchor:
            assert anchor in anchors(path), f"{name(page)} links to {link}"


def anchors(page: pathlib.Path) -> set[str]:
    """What headings can be linked to as."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def public() -> list[str]:
    """Every public name of the packages, as users write it."""
    found = []
    for package in zeroone_jax.__all__:
        if package == "__version__":
            continue
        module = importlib.import_module(f"zeroone_jax.{package}")
        found += [f"{package}.{each}" for each in getattr(module, "__all__", ())]
    for package in ("attacks.adapters", "attacks.suite", "training.objectives"):
        module = importlib.import_module(f"zeroone_jax.{package}")
        found += [f"{package}.{each}" for each in module.__all__]
    return found


def referenced() -> set[str]:
    """What the pages of the reference describe."""
    found, module = set(), ""
    directive = re.compile(
        r"^\.\. (currentmodule|auto\w+|py:data):: (\S+)$", re.MULTILINE
    )
    for page in sorted((DOCS / "reference").glob("*.md")):
        for kind, what in directive.findall(page.read_text(encoding="utf-8")):
            if kind == "currentmodule":
                module = what
            elif kind == "automodule":
                found.add(what)
            else:
                found.add(f"{module}.{what}")
    return found


@pytest.mark.parametrize("each", public())
def test_every_public_name_has_a_page(each):
    full = f"zeroone_jax.{each}"
    package, _, last = full.rpartition(".")
    value = getattr(importlib.import_module(package), last)
    if inspect.ismodule(value):
        assert any(known.startswith(f"{value.__name__}") for known in referenced())
    else:
        # What two packages offer is described once.
        home = getattr(value, "__module__", None)
        twins = {"zeroone_jax.files": "zeroone_jax.data"}
        assert {full, f"{twins.get(home)}.{last}"} & referenced()


def test_every_module_of_evaluation_has_a_page():
    files = (ROOT / "zeroone_jax" / "evaluation").glob("[a-z]*.py")
    wanted = {f"zeroone_jax.evaluation.{file.stem}" for file in files}
    assert wanted <= referenced()
    assert {"zeroone_jax.losses", "zeroone_jax.types"} <= referenced()


def test_every_study_is_in_the_guide():
    text = (DOCS / "guides" / "reproduce.md").read_text(encoding="utf-8")
    for study in reproduce.REPRODUCTIONS:
        assert f"`{study}`" in text


def test_every_launcher_is_in_the_reference():
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "experiments").glob("*.py")):
        code = path.read_text(encoding="utf-8")
        if 'if __name__ == "__main__"' in code and path.stem != "demo":
            assert f"`python -m experiments.{path.stem}`" in text


# Sentences that made readers stumble, and remarks about how this was written.
BANNED = (
    r"Of longer runs training is",
    r"Beside development it took",
    r"AutoAttack finds beyond is",
    r"because neither does anything",
    r"counted twice, loses",
    r"meets the same\s+adversary in any\s+batch",
    r"of one seed each the\s+exact distances",
    r"and the step count for more",
    r"drawn from that, the same",
    r"What it reads there it tells",
    r"[Oo]ur notes",
    r"was lent|has lent",
    r"busy (?:CPU )?(?:core|machine)",
)


@pytest.mark.parametrize("sentence", BANNED)
def test_no_such_sentence(sentence):
    read = [*PAGES, ROOT / "CHANGELOG.md"]
    for folder in ("zeroone_jax", "experiments", "benchmarks"):
        read += sorted((ROOT / folder).rglob("*.py"))
    read += sorted((ROOT / "colab").glob("*.ipynb"))
    for path in read:
        assert not re.search(sentence, path.read_text(encoding="utf-8")), name(path)
