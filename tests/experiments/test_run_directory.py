import pytest

from experiments import run_directory
from experiments.command_line import UserError


def test_damage_is_the_users_to_mend(tmp_path):
    with run_directory.opened_at(tmp_path, {"seed": 0}, resume=False) as run:
        run.append_metrics([{"step": 1}])
        (tmp_path / "metrics.jsonl").write_text("garbage\n")
        with pytest.raises(UserError, match=r"results\.md is missing or.*--resume"):
            run_directory.tell(run, "results.md")
        (tmp_path / "results.md").write_bytes(b"\x93")
        with pytest.raises(UserError, match=r"results\.md is missing or.*--resume"):
            run_directory.tell(run, "results.md")

    def resumed() -> None:
        with run_directory.opened_at(tmp_path, {"seed": 0}, resume=True) as run:
            run.restore(None)

    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged \(line 1"):
        resumed()
    (tmp_path / "config.json").write_text("")
    with pytest.raises(UserError, match=r"config\.json is damaged \(it is empty"):
        resumed()
