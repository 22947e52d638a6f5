import json

from experiments import demo
from zeroone_jax import coordinate_descent, data

SMALL = coordinate_descent.Config(
    votes=2, hidden=2, iterations=30, features=10, candidates=2, bins=64
)


def test_the_demo_compares_settings_with_the_authors(two_classes, tmp_path):
    training, test = (
        data.load(two_classes, split, classes=(0, 1)) for split in ("train", "test")
    )
    output = tmp_path / "out"
    text = demo.demonstrate({"default": SMALL, "same": SMALL}, training, test, output)
    assert (output / "table.md").read_text(encoding="utf-8") == text + "\n"
    written = json.loads((output / "demo.json").read_text())
    rows = {row["row"]: row for row in written["rows"]}
    assert list(rows) == [
        "vote 1",
        "vote 2",
        "mean of votes",
        "majority",
        "seconds to train",
    ]
    majority = rows["majority"]
    assert majority["default train"] == majority["same train"] > 0.5
    assert majority["authors test"] == "0.854-0.856"
    assert rows["vote 1"]["authors test"] is None
    assert set(written["seconds"]) == {"default", "same"}
    assert (output / "curves.png").exists()
    assert (output / "hidden_units_same.png").exists()
