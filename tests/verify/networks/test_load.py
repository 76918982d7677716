"""Loading modules by name: every mistake is one line that says what was wrong and what would be right."""

import pytest
import torch

from theory.claims import claim_named
from verify.experiments.models import subject
from verify.networks.claims.load import load
from verify.networks.claims.names import check_spec

FILE = """
import torch
from torch import nn

def good():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))

def pair():
    return good(), torch.ones(5, 3)

def image():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 26 * 26, 2))

def raises():
    raise RuntimeError("no weights here\\nsecond line")

def none():
    pass

def text():
    return "resnet"

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
    def forward(self, x, y):
        return self.a(x + y)

class Changes(Two):
    def forward(self, x):
        return self.a(x) if x.sum() > 0 else -self.a(x).relu()

class Dictionary(Two):
    def forward(self, x):
        return {"logits": self.a(x)}

class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.ones(1))
    def forward(self, x):
        return x * self.p

def empty():
    return nn.Sequential(nn.ReLU())

def lazy():
    return nn.LazyLinear(3)

def nan():
    m = good()
    m[2].bias.data[0] = float("nan")
    return m

def training():
    m = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).eval()
    m[1].train()
    return m

def guessed():
    class Flat(nn.Sequential):
        def forward(self, x):
            return super().forward(x.view(len(x), 2, 6).flatten(1))
    return Flat(nn.Linear(12, 3), nn.Unflatten(1, (3, 1)), nn.Flatten(), nn.Linear(4, 1))

def raises_later():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
        def forward(self, x):
            raise KeyError("no such thing")
    return Late()

def huge():
    m = good().double()
    m[0].weight.data.fill_(1e200)
    m[2].weight.data.fill_(1e200)
    return m, torch.ones(2, 3)

def nan_inputs():
    return good(), torch.full((2, 3), float("nan"))

def writes():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)
        def forward(self, x):
            h = self.a(x)
            o = torch.zeros_like(h)
            o[:, 1:] = h[:, 1:]
            return self.b(o)
    return Writes()

def scalar():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
        def forward(self, x):
            return self.a(x).sum()
    return Sum()

def leaves():
    import sys
    sys.exit(0)

def leaves_later():
    class Leaves(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
        def forward(self, x):
            raise SystemExit("done")
    return Leaves()

def prints():
    class Prints(nn.Linear):
        def forward(self, x):
            print("in forward")
            return super().forward(x)
    print("in the factory")
    return Prints(3, 2)

def one_sample():
    return good(), torch.ones(3)

def one_image():
    return image(), torch.ones(3, 28, 28)

def meta():
    return nn.Linear(3, 2, device="meta")

number = 3
instance = good()
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "my_models.py"
    path.write_text(FILE)
    return lambda name: f"{path}:{name}"


def test_factories_pairs_classes_and_instances(spec):
    assert load(spec("good")).x.shape == (8, 3)
    assert load(spec("good"), samples=2).x.shape == (2, 3)
    assert torch.equal(load(spec("pair")).x, torch.ones(5, 3))
    assert load(spec("image")).x.shape == (8, 3, 28, 28)
    assert load(spec("instance")).x.shape == (8, 3)
    assert load(spec("good"), x=torch.ones(4, 3)).x.shape == (4, 3)
    assert not load(spec("good")).module.training


def test_weights_and_inputs_follow_the_seed_and_leave_the_global_generator(spec):
    state = torch.random.get_rng_state()
    a, b, c = load(spec("good"), seed=1), load(spec("good"), seed=1), load(spec("good"), seed=2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.x, c.x)
    assert torch.equal(a.module[0].weight, b.module[0].weight)
    assert not torch.equal(a.module[0].weight, c.module[0].weight)


def test_modes_that_the_factory_chose_stay(spec):
    assert load(spec("training")).module[1].training


def test_zoo():
    assert load("zoo:mlp", samples=2).x.shape == (2, 784)
    with pytest.raises(ValueError, match=r"zoo:resnet2: .*resnet20"):
        load("zoo:resnet2")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", "the factory raised RuntimeError: no weights here$"),
        ("none", r"it gives nothing \(None\), not a torch.nn.Module; let the factory return"),
        ("text", "it gives a str, not a torch.nn.Module"),
        ("number", "number is an int; a function that returns a torch.nn.Module is needed"),
        ("goood", "has no 'goood'; did you mean good"),
        ("Changes", "the operations change with the data.*; remove the control flow"),
        ("Dictionary", "the module returns dict, not a tensor"),
        ("Two", r"forward needs 2 inputs \(x, y\); wrap it"),
        ("empty", "the module has no parameters"),
        ("lazy", "the parameter weight is not initialised yet"),
        ("nan", "2.bias: this parameter holds NaN or infinity; initialise"),
        (
            "guessed",
            r"does not run on inputs of shape \(8, 12\): .*; let the factory return \(module, example input\)$",
        ),
        (
            "raises_later",
            r"does not run on inputs of shape \(8, 3\): KeyError: 'no such thing'; let the factory return",
        ),
        ("huge", "the outputs are not finite; its values leave the range of float64"),
        ("nan_inputs", "x: the inputs hold NaN or infinity; give inputs that are numbers$"),
        ("scalar", r"the module maps 2 samples to shape \(\): the first axis must be samples; wrap it so"),
        ("writes", "b: `linear` reads a tensor that was written through a view .* is not followed; use torch.cat"),
        ("leaves", r"the factory called sys.exit\(0\); it has to return"),
        ("leaves_later", r"its forward called sys.exit\('done'\)"),
        ("one_sample", r"has shape \(3,\), one sample without an axis of samples; give it as x\[None\]"),
        ("one_image", r"has shape \(3, 28, 28\), one sample without an axis of samples"),
        ("meta", "the parameter weight is on the meta device, where tensors have no numbers"),
        ("Late", "the shape of its input cannot be told from its first layer; let the factory return"),
    ],
)
def test_mistakes_are_one_line(spec, name, message):
    with pytest.raises(ValueError, match=message) as caught:
        load(spec(name))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(spec(name))


def test_inputs_that_do_not_fit(spec):
    expected = r"does not run on inputs of shape \(4, 2\): .*; give inputs of a shape that it takes, such as \(N, 3\)$"
    with pytest.raises(ValueError, match=expected):
        load(spec("good"), x=torch.ones(4, 2))
    with pytest.raises(ValueError, match="the inputs hold NaN or infinity; give inputs that are numbers"):
        load(spec("good"), x=torch.full((4, 3), float("inf")))
    with pytest.raises(ValueError, match="at least one sample"):
        load(spec("good"), x=torch.ones(0, 3))
    with pytest.raises(ValueError, match="floating-point"):
        load(spec("good"), x=torch.ones(4, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="at least one sample"):
        load(spec("good"), samples=0)


def test_specs_that_name_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"write FILE\.py:FACTORY"):
        load("resnet20")
    with pytest.raises(ValueError, match="there is no file"):
        load(f"{tmp_path}/gone.py:build")
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n")
    with pytest.raises(ValueError, match=r"importing .*broken.py raised SyntaxError"):
        load(f"{broken}:f")


def test_prints_of_user_code_do_not_reach_standard_output(spec, capsys):
    load(spec("prints"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "in the factory" in err
    assert "in forward" in err


def test_a_file_that_exits_when_imported_is_a_mistake(tmp_path):
    path = tmp_path / "exits.py"
    path.write_text("import sys\nsys.exit()\n")
    with pytest.raises(ValueError, match=r"importing .*exits.py called sys.exit\(None\)"):
        load(f"{path}:f")


def test_a_folder_of_data_without_data_is_a_mistake(spec):
    with pytest.raises(ValueError, match="a folder of data is given, but no data set; name one"):
        subject(spec("good"), data_dir="somewhere")


def test_what_is_wrong_with_a_name_is_known_without_importing_it(spec, tmp_path):
    check_spec(spec("good"))
    check_spec("zoo:mlp")
    with pytest.raises(ValueError, match="there is no file"):
        check_spec(f"{tmp_path}/gone.py:build")
    with pytest.raises(ValueError, match=r"write FILE\.py:FACTORY"):
        check_spec("resnet20")


def test_a_module_is_recorded_once_when_it_is_loaded_and_searched(spec):
    on = subject(spec("good"))
    calls = []
    on.module.register_forward_hook(lambda *_: calls.append(1))
    outcome = on.falsify(claim_named("path-exclusion/trace-bound"), examples=3)
    assert outcome.verdict == "survived"
    assert not calls
