import pytest
import torch
from torch import nn

from verify.networks import zoo

PUBLISHED = [
    ("linear", {}, 7_850, (1, 28, 28)),
    ("mlp", {}, 266_610, (1, 28, 28)),
    ("cnn", {}, 431_080, (1, 28, 28)),
    ("vgg16_bn", {}, 14_728_266, (3, 32, 32)),
    ("vgg19_bn", {}, 20_040_522, (3, 32, 32)),
    ("resnet20", {}, 272_474, (3, 32, 32)),
    ("resnet20", {"shortcut": "pad"}, 269_722, (3, 32, 32)),
    ("resnet32", {}, 466_906, (3, 32, 32)),
    ("resnet32", {"shortcut": "pad"}, 464_154, (3, 32, 32)),
    ("resnet50", {}, 25_557_032, (3, 64, 64)),
    ("wideresnet", {"depth": 40, "widen": 2}, 2_243_546, (3, 32, 32)),
    ("vit", {"image": 224, "patch": 16, "depth": 12, "classes": 1000}, 5_717_416, (3, 224, 224)),
]


@pytest.mark.parametrize(("name", "settings", "count", "shape"), PUBLISHED)
def test_parameter_count_and_output(name, settings, count, shape):
    m = zoo.build(name, **settings)
    assert zoo.parameter_count(m) == count
    assert not any(s.training for s in m.modules())
    with torch.no_grad():
        out = m(torch.ones(2, *shape))
    assert out.shape == (2, settings.get("classes", 1000 if name == "resnet50" else 10))
    assert torch.isfinite(out).all()


def test_wideresnet_28_10_has_the_published_count():
    with torch.device("meta"):
        assert zoo.parameter_count(zoo.wideresnet()) == 36_479_194


def test_the_seed_alone_decides_the_weights_and_the_global_generator_is_left():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    a = zoo.build("resnet20", seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    b, c = zoo.build("resnet20", seed=3).state_dict(), zoo.build("resnet20", seed=4).state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["conv.weight"], c["conv.weight"])


def test_weights_have_the_variance_of_he():
    w = zoo.build("mlp", widths=(400, 500, 10))[0].weight
    assert float(w.detach().var()) == pytest.approx(2 / 400, rel=0.02)


def test_training_mode_uses_batch_statistics():
    m, x = zoo.build("resnet20"), torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        evaluated = m(x)
        trained = m.train()(x)
    assert not torch.allclose(evaluated, trained)


def test_projection_shortcuts_only_where_the_shape_changes():
    blocks = zoo.build("resnet20").blocks
    assert [isinstance(b.shortcut, nn.Identity) for b in blocks] == [True] * 3 + [False, True, True] * 2


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("wideresnet", {"depth": 20}, "depth must be 6 k"),
        ("vit", {"patch": 5}, "patch must divide"),
        ("resnet20", {"clases": 10}, "did you mean classes"),
        ("resnet20", {"shortcut": "pads"}, "'projection' or 'pad'"),
        ("resnet20", {"classes": 0}, "at least 1"),
        ("mlp", {"widths": (3,)}, "at least two widths"),
        ("cnn", {"size": 8}, "at least 16"),
    ],
)
def test_bad_settings(name, settings, message):
    with pytest.raises(ValueError, match=message):
        zoo.build(name, **settings)


def test_unknown_name_names_near_misses():
    with pytest.raises(KeyError, match="did you mean resnet20"):
        zoo.build("resnet-20")
