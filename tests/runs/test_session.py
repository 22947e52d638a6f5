import subprocess

from zeroone_jax import runs


def test_git_revision_is_the_commit_and_whether_it_is_dirty(tmp_path):
    code = tmp_path / "code.py"
    code.write_text("1")

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert runs.git_revision(code) == "unknown"
    git("init")
    assert runs.git_revision(code) == "unknown"
    git("add", "code.py")
    git("commit", "-m", "first", "--no-verify")
    commit = git("rev-parse", "HEAD")
    assert runs.git_revision(code) == commit
    code.write_text("2")
    assert runs.git_revision(code) == f"{commit}-dirty"
