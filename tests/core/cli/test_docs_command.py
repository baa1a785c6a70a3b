"""``pegboard docs``: the page of anything that has a name, without torch."""

from pathlib import Path

import pytest

from pegboard import source
from pegboard.cli import docs_command, main
from pegboard.cli.added import Added
from tests.conftest import Command


def page(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["docs", name]) == 0
    return capsys.readouterr().out


def test_a_part_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    text = page("EarlyStop", capsys)
    assert '`dict(type="EarlyStop", metric=..., better=...)`' in text
    assert "In `HOOKS`, from the plugin `pegboard_hooks`" in text
    assert "| `patience` | `int` | " in text and "in a row without improvement" in text
    assert "A metric of the run." in text and "**Source.** " in text


def test_words_that_an_argument_takes_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Not the name that the source has for their type, here imported from another module."""
    assert "| `method` | `Literal['pca', 'tsne']` |" in page("Embedding", capsys)
    assert "`Literal['nearest', 'bilinear']`" in page("RandomAffine", capsys)


def test_attributes_are_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    text = page("DrawnShapes", capsys)
    assert "\n\n- `images`: (count, 3, size, size) uint8, RGB.\n- `boxes`: " in text
    assert "right and bottom\n  exclusive.\n- `targets`: " in text and "\n- `mean`, `std`: " in text


def test_what_the_run_fills_in_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert page("LeNet", capsys).lower().count("the run fills") == 1
    assert page("MixUp", capsys).count("The run fills it in.") == 1


def test_a_part_of_torch_has_all_of_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    """torch.optim puts it together from several strings, some of them in another file."""
    text = page("Adam", capsys)
    assert "Implements Adam algorithm" in text
    assert "| `betas` |" in text and "learning rate" in text and "foreach implementation" in text


def test_a_name_on_two_boards_has_two_pages(capsys: pytest.CaptureFixture[str]) -> None:
    text = page("torch:Adam", capsys)
    assert text.count("# Adam\n") == 1
    text = page("Normalize", capsys)
    assert "plugin `pegboard_data`" in text and "`torchvision`" in text and text.count("# Normalize\n") == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("non_finite", "`policy`"),
        ("after_val", "def after_val(self, run, metrics)"),
        ("pegboard_check", "def pegboard_check(config)"),
        ("HOOKS", "A hook is a subclass"),
        ("hooks", "switches a default one off"),
        ("batch_size", "A key of a loader: "),
        ("freeze", "A key of a phase: "),  # and a run key
        ("freeze", "A run key: "),
        ("lr_mult", "A key of a group: factor"),
        ("predict", "| `IMAGE"),
        ("split", "# pegboard split"),  # of a built-in plugin
        ("pegboard_data:split", "# pegboard pegboard_data:split"),
        ("train", "# pegboard train"),  # and a run key
        ("train", "A run key: the training data"),
        ("OPTIMIZERS", "`pegboard plugins OPTIMIZERS 'torch:*'`"),
    ],
)
def test_other_names(name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in page(name, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["OneCycelLR"], "did you mean 'OneCycleLR'?"),
        (["afer_val"], "did you mean 'after_val'?"),
        (["batch_siz"], "did you mean 'batch_size'?"),
        (["predic"], "did you mean 'predict'?"),
        (["Trackr"], "did you mean 'Tracker'?"),
        (["qqqqqqqq"], "`pegboard plugins BOARD` lists"),
        (["*"], "there is no part"),
        ([], "`pegboard docs SGD`"),
        (["SGD", "--write", "docs"], "`pegboard docs SGD`"),
        (["SGD", "--plugins", "./nothing.py"], "nothing.py"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["docs", *arguments]) == 2
    done = capsys.readouterr()
    assert words in done.err and len(done.err.splitlines()) == 1 and not done.out
    assert not list(tmp_path.iterdir())


def test_a_part_in_a_file_of_yours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boards: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = 'from pegboard import HOOKS, Hook\n\n\n@HOOKS.register\nclass OfMine(Hook):\n    """Does | nothing."""\n'
    (tmp_path / "of_mine_parts.py").write_text(text)
    assert main(["docs", "OfMine", "--plugins", "./of_mine_parts.py"]) == 0
    text = capsys.readouterr().out
    assert "Does | nothing." in text and "of_mine_parts:OfMine" in text


def test_a_command_that_two_plugins_have_has_two_pages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    greet = ("greet somebody", lambda parser: parser.add_argument("NAME"), lambda arguments: 0)
    added = [Added("greet", plugin, plugin, False, greet) for plugin in ("acme", "birch")]
    monkeypatch.setattr(docs_command, "added_commands", lambda: (added, {}))
    text = page("greet", capsys)
    assert "# pegboard acme:greet" in text and "# pegboard birch:greet" in text
    assert "birch" not in page("acme:greet", capsys)


def test_pages_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", "--write", str(tmp_path)]) == 0
    count = len(list((tmp_path / "reference").glob("*.md")))
    assert f"{count} pages written" in capsys.readouterr().out
    (tmp_path / "reference" / "hooks.md").write_text("old")
    assert main(["docs", "--write", str(tmp_path)]) == 0
    assert "\n1 pages written" in capsys.readouterr().out


def test_torch_is_not_imported(python: Command) -> None:
    code = "import sys; from pegboard.cli import main; main(['docs', 'SGD']); main(['docs', 'LeNet']); "
    done = python(
        "-c", code + "main(['docs', 'after_val']); print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stderr


def test_what_is_no_string_has_no_text() -> None:
    assert source.docstring("torch.optim:NoSuchThing") == ""
