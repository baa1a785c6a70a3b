"""Everything wrong with a config, in one pass."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pegboard import MODELS
from pegboard.config import Config, check
from pegboard.config.keys import RUN_KEYS

BASE = """
train = dict(dataset=dict(type="DrawnShapes", count=8, split="train"), batch_size=4)
val = dict(dataset=dict(type="DrawnShapes", count=8, split="val"))
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
metrics = dict(top1=dict(type="Accuracy"))
optimizer = dict(type="SGD", lr=0.1, momentum=0.9)
train_for = "1 epoch"
"""


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """The problems of a config over a sound base, as printed; with overrides."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.py").write_text(BASE.lstrip(), encoding="utf-8")

    def find(text="", *overrides):
        (tmp_path / "c.py").write_text('_base_ = ["base.py"]\n' + text, encoding="utf-8")
        return [str(problem) for problem in check(Config.load("c.py", overrides))]

    return find


def test_a_sound_config_has_none(problems):
    assert problems() == []


def test_all_problems_come_out_in_one_pass_with_file_and_line(problems):
    found = problems(
        """optimzer = dict(type="SGD")
model = dict(type="LeNett")
train = dict(
    batch_sise=16,
)
optimizer = dict(momentm=0.9)
train_for = 20
scheduler = dict(type="ReduceLROnPlateau", monitor="val/top55", unit="epoch")
"""
    )
    assert sorted(found) == sorted(
        [
            "c.py:2: optimzer: is no run key, and nothing uses it; did you mean 'optimizer'?",
            "c.py:3: model.type: no 'LeNett' in models; did you mean 'LeNet'?",
            "c.py:5: train.batch_sise: there is no such key; did you mean 'batch_size'?",
            "c.py:7: optimizer.momentm: SGD takes no 'momentm'; did you mean 'momentum'?",
            "c.py:8: train_for: 20 is not a duration; write '20 epochs' or '20 iters'",
            "c.py:9: scheduler.monitor: no metric of this run is called 'val/top55'; did you mean 'val/top1'?",
        ]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = dict(type=3)", "c.py:2: model.type: must be a name in models as a string, got 3"),
        ("model = dict(_delete_=True, tpye='LeNet')", "c.py:2: model.tpye: there is no such key; did you mean 'type'?"),
        ("model = dict(_delete_=True, num_classes=3)", "c.py:2: model: needs a 'type', a name in models"),
        ("model = 'LeNet'", "c.py:2: model: must be a model as a dict with a 'type', got 'LeNet'"),
        ("model = dict(_delete_=True, type='Linear', in_features=8)", "c.py:2: model: Linear needs 'out_features'"),
        ("model = dict(type='resnet18', num_clases=10)",
         "c.py:2: model.num_clases: resnet18 takes no 'num_clases'; did you mean 'num_classes'?"),
        ("optimizer = dict(params=[])", "c.py:2: optimizer.params: the run gives SGD its 'params'; leave it out"),
        ("optimizer = dict(lr='0.1')", "c.py:2: optimizer.lr: must be float or Tensor, got '0.1'"),
        ("optimizer = dict(nesterov=1)", "c.py:2: optimizer.nesterov: must be bool, got 1"),
        ("train = dict(batch_size=0)", "c.py:2: train.batch_size: must be at least 1, got 0"),
        ("train = dict(shuffle='yes')", "c.py:2: train.shuffle: must be bool, got 'yes'"),
        ("train = dict(mode='memry')",
         "c.py:2: train.mode: must be 'auto', 'memory' or 'workers', got 'memry'; did you mean 'memory'?"),
        ("train = dict(transforms=[dict(type='ToFloat'),\n  dict(type='RandomCrop', siez=3)])",
         "c.py:3: train.transforms.1.siez: RandomCrop takes no 'siez'; did you mean 'size'?"),
        ("val = dict(dataset=dict(split='vall'))",
         "c.py:2: val.dataset.split: must be 'train', 'val' or 'test', got 'vall'; did you mean 'val'?"),
        ("metrics = dict(_delete_=True, type='Accuracy')",
         "c.py:2: metrics: must be a dict of parts by name, e.g. metrics=dict(mine=dict(type=...))"),
        ("hooks = dict(mine=dict(type='Progres'))",
         "c.py:2: hooks.mine.type: no 'Progres' in hooks; did you mean 'Progress'?"),
        ("hooks = dict(checkpoint=dict(evry='1 epoch'))",
         "c.py:2: hooks.checkpoint.evry: Checkpoint takes no 'evry'; did you mean 'every'?"),
        ("hooks = dict(checkpoint=dict(every='1 epcoh'))",
         "c.py:2: hooks.checkpoint.every: '1 epcoh' is not a duration: "
         "no unit is called 'epcoh'; did you mean 'epochs'?"),
        ("checkpoint = dict(kep=3)", "c.py:2: checkpoint.kep: there is no such key; did you mean 'keep'?"),
        ("pretrained = dict(path='w.pt', min_match=2)",
         "c.py:2: pretrained.min_match: is a share of the model's tensors, at most 1, got 2"),
        ("pretrained = dict(path='w.pt', rename={'(': ''})",
         "c.py:2: pretrained.rename: '(': '' is no regular expression with its replacement: "
         "missing ), unterminated subpattern at position 0"),
        ("pretrained = dict(path='w.pt', rename={'a': r'\\1'})",
         "c.py:2: pretrained.rename: 'a': '\\\\1' is no regular expression with its replacement: "
         "invalid group reference 1 at position 1"),
        ("precision = 'fp8'", "c.py:2: precision: must be 'fp32', 'bf16' or 'fp16', got 'fp8'"),
        ("hooks = dict(progres=None)", "c.py:2: hooks.progres: switches nothing off; did you mean 'progress'?"),
        ("device = 'cdua'", "c.py:2: device: must be auto, cpu, cuda, cuda:N or mps, got 'cdua'; did you mean 'cuda'?"),
        ("plugins = 'parts.py'", "c.py:2: plugins: must be a list of files and modules, got 'parts.py'"),
        ("loss = None", "c.py: there is no 'loss': what is minimised, called as loss(outputs, targets); "
         "or several by name, added times their loss_weight"),
        ("val = None\nscheduler = dict(type='ReduceLROnPlateau', unit='epoch', monitor='val/loss')",
         "c.py:3: scheduler.monitor: no metric of this run is called 'val/loss'; did you mean 'train/loss'?"),
        ("scheduler = dict(type='StepLR', step_size=1)",
         "c.py:2: scheduler: StepLR needs unit='epoch' or unit='iter': what one step of the schedule is"),
        ("scheduler = dict(type='StepLR', step_size=1, unit='epochs')",
         "c.py:2: scheduler.unit: must be 'epoch' or 'iter', got 'epochs'; did you mean 'epoch'?"),
        ("optimizer = dict(type='Adam')",
         "base.py:6: optimizer.momentum: Adam takes no 'momentum' (inherited from base.py:6, where type was 'SGD'; "
         "_delete_=True drops what was inherited)"),
    ],
)  # fmt: skip
def test_one_problem(problems, text, expected):
    assert problems(text) == [expected]


def test_a_hook_switched_off_and_a_default_changed_are_no_problems(problems):
    assert problems("hooks = dict(progress=None, checkpoint=dict(keep=1))") == []


def test_an_override_is_named_as_such(problems):
    assert problems("", "optimizer.momentm=0.9") == [
        "--cfg-options: optimizer.momentm: SGD takes no 'momentm'; did you mean 'momentum'?"
    ]


def test_a_misspelt_key_is_not_missing_as_well(problems):
    found = problems("optimizer = None\noptimzer = dict(type='SGD')\n")
    assert found == ["c.py:3: optimzer: is no run key, and nothing uses it; did you mean 'optimizer'?"]


def test_testing_needs_less_than_training():
    values = dict(model=dict(type="LeNet"), test=dict(dataset=dict(type="DrawnShapes", split="test")))
    assert check(Config.from_values(values), "test") == []
    assert len(check(Config.from_values(values), "train")) == 4


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "lr", "", "dataset", "x"]), inner)
    ),
    max_leaves=6,
)
names = st.sampled_from(
    ["SGD", "LeNet", "Accuracy", "OneCycleLR", "Progress", "torch:Linear", ":", "a:b:c", "Normalize"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*RUN_KEYS, "x"]), values | st.fixed_dictionaries({"type": names, "x": values})))
def test_whatever_a_config_holds_gives_problems_and_no_traceback(values):
    values.pop("plugins", None)
    assert all(str(problem) for problem in check(Config.from_values(values)))


@pytest.mark.parametrize(
    ("transform", "path", "message"),
    [
        ("dict(type='RandomCorp', size=3)", "0.type", "no 'RandomCorp' in transforms; did you mean 'RandomCrop'?"),
        ("dict(type='torchvision:RandomCrop', siz=3)", "0.siz", "RandomCrop takes no 'siz'; did you mean 'size'?"),
        ("3", "0", "must be a transform as a dict with a 'type', got 3"),
    ],
)
def test_a_part_within_a_part_is_checked_alike(problems, transform, path, message):
    found = problems(f"train = dict(transforms=[dict(type='RandomApply', transforms=[{transform}])])")
    assert found == [f"c.py:2: train.transforms.0.transforms.{path}: {message}"]


def test_a_metric_that_is_switched_off_cannot_be_watched(problems):
    text = "scheduler = dict(type='ReduceLROnPlateau', unit='epoch', monitor='val/top1', mode='max')\n"
    assert problems(text) == []
    [found] = problems(text + "metrics = dict(top1=None)\n")
    assert "scheduler.monitor: no metric of this run is called 'val/top1'" in found


@pytest.mark.usefixtures("boards")
def test_none_is_taken_where_it_is_the_default_whatever_the_annotation_says(problems):
    def build_net(width: int = None, depth: int = 3):  # noqa: RUF013  # many libraries write it so
        raise NotImplementedError

    MODELS.register(build_net)
    assert problems("model = dict(type='build_net', width=None)") == []
    assert problems("model = dict(type='build_net', depth=None)") == ["c.py:2: model.depth: must be int, got None"]
