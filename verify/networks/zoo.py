"""Networks under their usual names, written here, with parameter counts equal to the published ones.

| name | form | parameters |
|---|---|---|
| ``linear`` | 784-10 | 7,850 |
| ``mlp`` | LeNet-300-100: 784-300-100-10 | 266,610 |
| ``cnn`` | LeNet-5 (Caffe form), one channel of 28 x 28 | 431,080 |
| ``vgg16_bn`` | CIFAR form: biased convolutions, average pool, one linear layer | 14,728,266 |
| ``vgg19_bn`` | likewise | 20,040,522 |
| ``resnet20`` | CIFAR form; shortcuts that change shape are 1x1 convolutions with normalisation | 272,474 |
| ``resnet32`` | likewise | 466,906 |
| ``resnet50`` | ImageNet form (stride in the 3x3 convolution) | 25,557,032 |
| ``wideresnet`` | WRN-28-10, pre-activation, CIFAR form | 36,479,194 |
| ``vit`` | CIFAR form; with image=224, patch=16, depth=12, classes=1000 it is ViT-Ti/16 | 5,717,416 (ViT-Ti/16) |

``shortcut="pad"`` gives the identity shortcuts of the original CIFAR ResNets, padded with zero channels
(269,722 parameters for ResNet-20). Convolution and linear weights are drawn from N(0, 2/fan_in), biases
are 0, normalisations are the identity: the initialisation that the pruning papers use.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FACTORIES: dict[str, Callable[..., nn.Module]] = {}


def names() -> tuple[str, ...]:
    """Every name that `build` knows."""
    return tuple(_FACTORIES)


def build(name: str, *, seed: int = 0, **settings: object) -> nn.Module:
    """The network called ``name``, in evaluation mode, initialised from ``seed`` alone.

    Args:
        name: a name from `names`.
        seed: seed of the initial weights; torch's global generator is left as it was.
        **settings: settings of that network, such as ``classes``.

    Raises:
        KeyError: unknown name; names near misses.
        ValueError: a setting that the network does not have, or a value that makes no network.
    """
    if name not in _FACTORIES:
        near = difflib.get_close_matches(str(name), _FACTORIES, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise KeyError(f"no network is called {name!r}; {hint}known: {', '.join(_FACTORIES)}")
    factory = _FACTORIES[name]
    known = inspect.signature(factory).parameters
    for key in settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"{name} has no setting {key!r}; {hint}its settings are {', '.join(known)}")
    for key, value in settings.items():
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise ValueError(f"{name}: {key} must be at least 1; got {value}")
    # Torch's constructors draw from the global generator; what they draw is thrown away below.
    with torch.random.fork_rng(devices=[]):
        module = factory(**settings)
    initialise(module, seed)
    return module.eval()


def initialise(module: nn.Module, seed: int) -> None:
    """Draw all weights anew from ``seed``: N(0, 2/fan_in) weights, zero biases, identity normalisations."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for m in module.modules():
            if isinstance(m, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu", generator=generator)
                if m.bias is not None:
                    m.bias.zero_()
            elif isinstance(m, nn.BatchNorm2d | nn.LayerNorm):
                m.reset_parameters()
                if isinstance(m, nn.BatchNorm2d):
                    m.reset_running_stats()
            for p in m.parameters(recurse=False) if isinstance(m, VisionTransformer) else ():
                p.normal_(std=0.02, generator=generator)


def parameter_count(module: nn.Module) -> int:
    """Number of parameters, each counted once."""
    return sum(p.numel() for p in module.parameters())


def _named(name: str) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    def register(f: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        _FACTORIES[name] = f
        return f

    return register


class _Flat(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


@_named("linear")
def linear(inputs: int = 784, classes: int = 10) -> nn.Module:
    """One linear layer."""
    return _Flat(nn.Linear(inputs, classes))


@_named("mlp")
def mlp(widths: Sequence[int] = (784, 300, 100, 10), bias: bool = True) -> nn.Module:
    """A fully connected ReLU network; ``widths`` from inputs to outputs."""
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"mlp: at least two widths, each at least 1, are needed; got {list(widths)}")
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b, bias=bias), nn.ReLU()]
    return _Flat(*layers[:-1])


@_named("cnn")
def cnn(channels: int = 1, size: int = 28, classes: int = 10) -> nn.Module:
    """LeNet-5 in Caffe's form: two 5x5 convolutions with max pooling, two linear layers."""
    side = ((size - 4) // 2 - 4) // 2
    if side < 1:
        raise ValueError(f"cnn: images of at least 16 x 16 are needed; got size = {size}")
    return nn.Sequential(
        nn.Conv2d(channels, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(50 * side * side, 500), nn.ReLU(), nn.Linear(500, classes),
    )  # fmt: skip


class VGG(nn.Module):
    """Blocks of 3x3 convolution, normalisation and ReLU, four max pools, an average pool, one linear layer.

    The layout of the pruning literature for 32 x 32 images.
    """

    def __init__(self, plan: Sequence[int], classes: int) -> None:
        super().__init__()
        layers, width = [], 3
        for i, repeats in enumerate(plan):
            for _ in range(repeats):
                block = nn.Sequential()
                out = (64, 128, 256, 512, 512)[i]
                block.add_module("conv", nn.Conv2d(width, out, 3, padding=1))
                block.add_module("bn", nn.BatchNorm2d(out))
                block.add_module("relu", nn.ReLU())
                layers.append(block)
                width = out
            layers.append(nn.Sequential(nn.MaxPool2d(2)) if i < 4 else nn.Sequential(nn.AvgPool2d(2)))
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits for images of 32 x 32."""
        return self.fc(self.layers(x).flatten(1))


@_named("vgg16_bn")
def vgg16_bn(classes: int = 10) -> nn.Module:
    """VGG-16 with batch normalisation for 32 x 32 images."""
    return VGG((2, 2, 3, 3, 3), classes)


@_named("vgg19_bn")
def vgg19_bn(classes: int = 10) -> nn.Module:
    """VGG-19 with batch normalisation for 32 x 32 images."""
    return VGG((2, 2, 4, 4, 4), classes)


class PaddedShortcut(nn.Module):
    """Identity shortcut between stages: every second position, zero channels added on both sides."""

    def __init__(self, added: int) -> None:
        super().__init__()
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c + added, h/2, w/2)."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with normalisation, and a shortcut."""

    def __init__(self, width: int, out: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width != out:
            if shortcut == "pad":
                self.shortcut = PaddedShortcut(out - width)
            else:
                self.shortcut = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, out, h/stride, w/stride)."""
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """The ResNets of He et al. for 32 x 32 images: 3 stages of ``blocks`` blocks."""

    def __init__(self, blocks: int, classes: int, width: int, shortcut: str) -> None:
        super().__init__()
        if shortcut not in ("projection", "pad"):
            raise ValueError(f"shortcut is 'projection' or 'pad'; got {shortcut!r}")
        self.conv = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        made = []
        for stage in range(3):
            for i in range(blocks):
                first = stage > 0 and i == 0
                out = width * 2**stage
                made.append(BasicBlock(out // 2 if first else out, out, 2 if first else 1, shortcut))
        self.blocks = nn.Sequential(*made)
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        h = self.blocks(F.relu(self.bn(self.conv(x))))
        return self.fc(F.adaptive_avg_pool2d(h, 1).flatten(1))


@_named("resnet20")
def resnet20(classes: int = 10, width: int = 16, shortcut: str = "projection") -> nn.Module:
    """ResNet-20 for 32 x 32 images."""
    return CifarResNet(3, classes, width, shortcut)


@_named("resnet32")
def resnet32(classes: int = 10, width: int = 16, shortcut: str = "projection") -> nn.Module:
    """ResNet-32 for 32 x 32 images."""
    return CifarResNet(5, classes, width, shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolutions with normalisation, and a shortcut."""

    def __init__(self, width: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, 4 * inner, 1, bias=False), nn.BatchNorm2d(4 * inner)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width != 4 * inner:
            projection = nn.Conv2d(width, 4 * inner, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(4 * inner))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, 4 inner, h/stride, w/stride)."""
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        return F.relu(self.bn3(self.conv3(h)) + self.shortcut(x))


class ResNet50(nn.Module):
    """ResNet-50 for large images."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        made, width = [], 64
        for stage, repeats in enumerate((3, 4, 6, 3)):
            inner = 64 * 2**stage
            for i in range(repeats):
                made.append(Bottleneck(width, inner, 2 if stage and i == 0 else 1))
                width = 4 * inner
        self.blocks = nn.Sequential(*made)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        h = self.blocks(self.pool(F.relu(self.bn(self.conv(x)))))
        return self.fc(F.adaptive_avg_pool2d(h, 1).flatten(1))


@_named("resnet50")
def resnet50(classes: int = 1000) -> nn.Module:
    """ResNet-50, ImageNet form."""
    return ResNet50(classes)


class WideBlock(nn.Module):
    """Pre-activation block: normalisation and ReLU before each of two 3x3 convolutions."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(width, out, 1, stride, bias=False) if width != out else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, out, h/stride, w/stride)."""
        h = F.relu(self.bn1(x))
        # Where the shape changes, the shortcut starts behind the first ReLU.
        kept = x if self.shortcut is None else self.shortcut(h)
        return self.conv2(F.relu(self.bn2(self.conv1(h)))) + kept


class WideResNet(nn.Module):
    """WRN-depth-widen of Zagoruyko and Komodakis for 32 x 32 images."""

    def __init__(self, depth: int, widen: int, classes: int) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"wideresnet: depth must be 6 k + 4 with k >= 1 (10, 16, 22, 28, ...); got {depth}")
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        made, width = [], 16
        for stage in range(3):
            for i in range((depth - 4) // 6):
                out = 16 * widen * 2**stage
                made.append(WideBlock(width, out, 2 if stage and i == 0 else 1))
                width = out
        self.blocks = nn.Sequential(*made)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        h = F.relu(self.bn(self.blocks(self.conv(x))))
        return self.fc(F.adaptive_avg_pool2d(h, 1).flatten(1))


@_named("wideresnet")
def wideresnet(depth: int = 28, widen: int = 10, classes: int = 10) -> nn.Module:
    """WideResNet for 32 x 32 images."""
    return WideResNet(depth, widen, classes)


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and MLP, each with a residual connection."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.proj = nn.LayerNorm(dim, 1e-6), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.norm2, self.fc1, self.fc2 = nn.LayerNorm(dim, 1e-6), nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, dim) -> (n, tokens, dim)."""
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class VisionTransformer(nn.Module):
    """A plain vision transformer with a class token."""

    def __init__(self, image: int, patch: int, dim: int, depth: int, heads: int, classes: int) -> None:
        super().__init__()
        if image % patch or dim % heads:
            raise ValueError(
                f"vit: patch must divide image and heads must divide dim; got {image=} {patch=} {dim=} {heads=}"
            )
        self.embed = nn.Conv2d(3, dim, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.zeros(1, (image // patch) ** 2 + 1, dim))
        self.blocks = nn.Sequential(*(TransformerBlock(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, 1e-6)
        self.fc = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        h = self.embed(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(len(h), -1, -1), h], dim=1) + self.position
        return self.fc(self.norm(self.blocks(h))[:, 0])


@_named("vit")
def vit(
    image: int = 32, patch: int = 4, dim: int = 192, depth: int = 6, heads: int = 3, classes: int = 10
) -> nn.Module:
    """A small vision transformer."""
    return VisionTransformer(image, patch, dim, depth, heads, classes)


__all__ = ["build", "initialise", "names", "parameter_count"]
