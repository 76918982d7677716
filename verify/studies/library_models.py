"""Models of timm, torchvision and transformers, each asked for every quantity.

``python -m verify.studies.library_models``, where these are installed. One row a model in
``results/library_models.csv``: what `verify.assumptions` says, the NTK trace against gradients of one sample and one
output at a time in float64, the path bound (at least the trace), SNIP against a plain gradient, SynFlow against the
network of absolute weights on an input of ones, and whether the module is as it was. Weights are drawn, nothing is
downloaded. Each model runs in a process of its own with limits on memory and processor time; rows that are there
already are kept, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from verify.networks.recording.graph import NotCovered
from verify.trials.origin import of_search
from verify.trials.tables import read_csv, write_csv

RESULT = Path(__file__).resolve().parents[2] / "results" / "library_models.csv"
SECONDS, MEMORY = 40, 6 << 30
"""Processor time and memory of one model, beyond what the libraries take."""
SAMPLES, OUTPUTS = 2, 2

TIMM = {
    # name: size of the images, or settings of the model beside it
    "test_byobnet": 64, "test_convnext": 64, "test_convnext2": 64, "test_convnext3": 64, "test_efficientnet": 64,
    "test_efficientnet_gn": 64, "test_efficientnet_ln": 64, "test_efficientnet_evos": 64, "test_mambaout": 64,
    "test_nfnet": 64, "test_resnet": 64, "test_vit": 160, "test_vit2": 160, "test_vit3": 160, "test_vit4": 160,
    "test_vit_relpos": 160, "test_coatnet": 160, "test_maxvit": 160,
    "resnet10t": 64, "resnet18": 64, "resnet18d": 64, "resnet26": 64, "seresnet18": 64, "lambda_resnet26t": 256,
    "halonet26t": 256, "botnet26t_256": 256, "resnext26ts": 64, "gcresnext26ts": 64, "eca_resnext26ts": 64,
    "bat_resnext26ts": 64, "regnetx_002": 64, "regnety_002": 64, "regnetz_005": 64, "densenet121": 64, "vovnet39a": 64,
    "ese_vovnet19b_dw": 64, "mobilenetv2_035": 64, "mobilenetv3_small_050": 64, "tf_mobilenetv3_small_minimal_100": 64,
    "mobilenetv4_conv_small_035": 64, "efficientnet_b0": 64, "mixnet_s": 64, "mnasnet_050": 64, "semnasnet_050": 64,
    "lcnet_035": 64, "fbnetc_100": 64, "spnasnet_100": 64, "tinynet_e": 64, "ghostnet_050": 64, "ghostnetv2_100": 64,
    "ghostnetv3_050": 64, "repghostnet_050": 64, "hardcorenas_a": 64, "repvgg_a0": 64, "mobileone_s0": 64,
    "vgg11": 64, "vgg11_bn": 64, "dla34": 64, "dla46_c": 64, "dpn48b": 64, "hrnet_w18_small": 64, "selecsls42": 64,
    "skresnet18": 64, "resnest14d": 64, "res2net50_14w_8s": 64, "cspresnet50": 64, "darknet17": 64, "cspdarknet53": 64,
    "legacy_seresnet18": 64, "rexnet_100": 64, "resnetv2_18": 64, "resnetv2_50": 64, "nf_resnet26": 64,
    "nf_regnet_b0": 64, "convnext_atto": 64, "convnext_atto_rms": 64, "convnextv2_atto": 64, "inception_next_atto": 64,
    "convmixer_768_32": 64, "mambaout_femto": 64, "fasternet_t0": 64, "starnet_s050": 64, "shvit_s1": 64,
    "repvit_m0_9": 64, "rdnet_tiny": 64, "hgnetv2_b0": 64, "poolformer_s12": 64, "poolformerv2_s12": 64,
    "edgenext_xx_small": 64, "mobilevit_xxs": 64, "mobilevitv2_050": 64, "efficientvit_b0": 64, "fastvit_t8": 64,
    "pvt_v2_b0": 64, "mvitv2_tiny": 224, "lcnetv2_small": 64, "lowformer_b0": 64, "swiftformer_xs": 64,
    "efficientformer_l1": 224, "efficientformerv2_s0": 224, "levit_128s": 224, "vit_tiny_patch16_224": 224,
    "deit_tiny_patch16_224": 224, "deit_tiny_distilled_patch16_224": 224, "cait_xxs24_224": 224,
    "convit_tiny": 224, "coat_lite_tiny": 224, "crossvit_tiny_240": 240, "mixer_s32_224": 224, "resmlp_12_224": 224,
    "gmlp_ti16_224": 224, "pit_ti_224": 224, "xcit_nano_12_p16_224": 224, "tnt_s_legacy_patch16_224": 224,
    "visformer_tiny": 224, "eva02_tiny_patch14_224": 224, "swin_tiny_patch4_window7_224": 224, "xception41": 96,
    "inception_v3": 96, "nasnetalarge": 96,
}  # fmt: skip
TORCHVISION = {
    "alexnet": 64, "squeezenet1_0": 64, "squeezenet1_1": 64, "googlenet": 64, "shufflenet_v2_x0_5": 64,
    "shufflenet_v2_x1_0": 64, "mobilenet_v2": 64, "mobilenet_v3_small": 64, "mobilenet_v3_large": 64,
    "mnasnet0_5": 64, "regnet_x_400mf": 64, "regnet_y_400mf": 64, "resnet18": 64, "resnet34": 64, "resnet50": 64,
    "resnext50_32x4d": 64, "densenet121": 64, "efficientnet_b0": 64, "convnext_tiny": 64, "vgg11": 64, "vgg11_bn": 64,
    "inception_v3": 96, "swin_t": 64, "swin_v2_t": 64, "maxvit_t": 224, "vit_b_32": 224,
}  # fmt: skip
_TEXT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50,
         "max_position_embeddings": 32}  # fmt: skip
_GROUPED = {**_TEXT, "num_key_value_heads": 1}
_GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_inner": 32, "vocab_size": 50, "n_positions": 32}
_IMAGE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
          "image_size": 32, "patch_size": 8}  # fmt: skip
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "Bert": _TEXT, "Roberta": _TEXT, "Electra": {**_TEXT, "embedding_size": 16},
    "Albert": {**_TEXT, "embedding_size": 16},
    "MPNet": _TEXT, "DebertaV2": _TEXT, "Camembert": _TEXT, "RoFormer": {**_TEXT, "embedding_size": 16},
    "DistilBert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "vocab_size": 50},
    "Llama": _GROUPED, "Mistral": _GROUPED, "Qwen2": _GROUPED, "Qwen3": {**_GROUPED, "head_dim": 8},
    "Gemma": {**_GROUPED, "head_dim": 8}, "Phi": _TEXT, "StableLm": _GROUPED, "Olmo": _GROUPED, "Cohere": _GROUPED,
    "Granite": _GROUPED, "GPTNeoX": _TEXT, "GPT2": _GPT2, "GPTJ": {**_GPT2, "rotary_dim": 4},
    "GPTNeo": {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "attention_types": [[["global"], 2]],
               "vocab_size": 50, "max_position_embeddings": 32},
    "OPT": {**_TEXT, "ffn_dim": 32, "word_embed_proj_dim": 16}, "Bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2,
            "vocab_size": 50}, "Falcon": _TEXT, "Mamba": {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 50},
    "XLNet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32, "vocab_size": 50},
    "ViT": _IMAGE, "DeiT": _IMAGE, "Dinov2": _IMAGE, "Beit": _IMAGE, "ViTMAE": _IMAGE, "Data2VecVision": _IMAGE,
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    "RegNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "groups_width": 8},
    "ConvNext": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "ConvNextV2": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "PoolFormer": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "Swin": {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2],
             "window_size": 4},
    "Segformer": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1]},
    "MobileNetV1": {"depth_multiplier": 0.25}, "MobileNetV2": {"depth_multiplier": 0.35},
}  # fmt: skip
PIXELS = tuple(TRANSFORMERS)[tuple(TRANSFORMERS).index("ViT") :]
"""Models of images; those before read embedded words."""


class Pooled(nn.Module):
    """A model of transformers as a function of one tensor: a linear map of the mean of its last hidden states."""

    def __init__(self, model: nn.Module, width: int, argument: str) -> None:
        super().__init__()
        self.model, self.head, self.argument = model, nn.Linear(width, OUTPUTS), argument

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.model(**{self.argument: x})[0]
        return self.head(hidden.mean((2, 3)) if hidden.ndim == 4 else hidden.mean(1))


def built(library: str, name: str) -> tuple[nn.Module, Tensor]:
    """A model with drawn weights, and inputs for it."""
    torch.manual_seed(0)
    shape: tuple[int, ...]
    if library == "timm":
        import timm

        size = TIMM[name]
        module, shape = timm.create_model(name, pretrained=False, num_classes=OUTPUTS), (3, size, size)
    elif library == "torchvision":
        models = _torchvision().models
        more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        module, shape = models.get_model(name, weights=None, num_classes=OUTPUTS, **more), (3, *[TORCHVISION[name]] * 2)
    else:
        import transformers

        config = getattr(transformers, f"{name}Config")(**TRANSFORMERS[name])
        model = transformers.AutoModel.from_config(config).eval()
        shape = (3, 32, 32) if name in PIXELS else (6, 16)
        argument = "pixel_values" if name in PIXELS else "inputs_embeds"
        with torch.no_grad():
            hidden = model(**{argument: torch.zeros(2, *shape)})[0]
        module = Pooled(model, hidden.shape[1] if hidden.ndim == 4 else hidden.shape[-1], argument)
    g = torch.Generator().manual_seed(0)
    return module.eval(), torch.randn(SAMPLES, *shape, generator=g)


def _torchvision() -> Any:
    """Torchvision; a build for another device lacks two operators, which no classifier calls, and is told of them."""
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _KEPT.append(library)
        import torchvision
    return torchvision


_KEPT: list[Any] = []


# -- one model ----------------------------------------------------------------------------------------


def _state(module: nn.Module) -> list[Any]:
    """What has to be the same afterwards: identities, numbers, modes, hooks, gradients."""
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    out: list[Any] = [
        (n, id(t), t.dtype, t.requires_grad, t.grad is None, float(t.detach().double().sum())) for n, t in tensors
    ]
    out += [(n, m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in module.named_modules()]
    return [*out, torch.get_rng_state().sum().item()]


def loops(module: nn.Module, x: Tensor, dtype: torch.dtype = torch.float64) -> float:
    """The NTK trace by one backward pass for each sample and each output; independent of `verify`."""
    module, total = copy.deepcopy(module).to(dtype), 0.0
    parameters = [p.requires_grad_() for p in module.parameters()]
    for one in x.to(dtype).split(1):
        for k in range(OUTPUTS):
            found = torch.autograd.grad(module(one)[0, k], parameters, allow_unused=True)
            total += sum(float(g.double().square().sum()) for g in found if g is not None)
    return total


def _snip(module: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    module = copy.deepcopy(module).double()
    own = {n: p.requires_grad_() for n, p in module.named_parameters() if p.ndim > 1}
    loss = nn.functional.cross_entropy(module(x.double()), y)
    found = torch.autograd.grad(loss, list(own.values()), allow_unused=True, materialize_grads=True)
    return {n: (p * g).abs().detach() for (n, p), g in zip(own.items(), found, strict=True)}


def _synflow(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """As released: absolute weights, an input of ones, weight times gradient."""
    module = copy.deepcopy(module).double()
    with torch.no_grad():
        for p in module.parameters():
            p.abs_()
    own = {n: p.requires_grad_() for n, p in module.named_parameters() if p.ndim > 1}
    total = module(torch.ones(1, *x.shape[1:], dtype=torch.float64)).sum()
    found = torch.autograd.grad(total, list(own.values()), allow_unused=True, materialize_grads=True)
    return {n: (p * g).abs().detach() for (n, p), g in zip(own.items(), found, strict=True)}


def _apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    size = max(float(t.abs().max()) for t in other.values())
    return max(float((one[n].double() - t).abs().max()) for n, t in other.items()) / (size or 1.0)


def measured(library: str, name: str, say: Callable[[str, Any], None]) -> None:
    """Everything about one model, said as soon as it is known."""
    import verify

    module, x = built(library, name)
    y = torch.arange(SAMPLES) % OUTPUTS
    say("parameters", sum(p.numel() for p in module.parameters()))
    say("input", " x ".join(map(str, x.shape)))
    before, trace = _state(module), loops(module, x)

    def tried(column: str, function: Callable[[], str]) -> None:
        start = time.process_time()
        try:
            say(column, function())
        except (NotCovered, ValueError, MemoryError) as e:
            kind = "not covered" if isinstance(e, NotCovered) else "refused"
            say(column, f"{kind}: {' '.join(str(e).split())[:140]}")
        except Exception as e:
            say(column, f"TRACEBACK {type(e).__name__}: {' '.join(str(e).split())[:140]}")
        say(f"{column} s", round(time.process_time() - start, 2))
        if _state(module) != before:
            say("module", f"CHANGED by {column}")

    def assumed() -> str:
        report = verify.assumptions(module, x, limit=1e9)
        from verify.networks.claims.assumptions import ASSUMPTIONS

        return ", ".join(a for a in ASSUMPTIONS if not report.holds(a) and a != "off-kinks") or "all hold"

    def of_trace() -> str:
        found = float(verify.ntk_trace(module, x))
        error = abs(found - trace) / trace
        say("trace error", f"{error:.1e}")
        if error < 1e-3:
            return "right"
        single = loops(module, x, torch.float32)  # how far rounding takes plain gradients
        same = abs(found - single) < 1e-3 * single
        return "right, as inexact as loops in float32" if same else f"WRONG: {found:.6g} for {trace:.6g}"

    def of_bound() -> str:
        found = float(verify.path_bound(module, x).bound)
        return "right" if found >= trace * (1 - 1e-9) else f"WRONG: bound {found:.6g} below the trace {trace:.6g}"

    def of_snip() -> str:
        # In float64: in float32 a gate within rounding of its kink may be open for one and shut for the other.
        found = verify.saliency(copy.deepcopy(module).double(), "snip", x.double(), y)
        with torch.random.fork_rng(devices=[]):
            apart = _apart(found, _snip(module, x, y))
        return "right" if apart < 1e-9 else f"WRONG: {apart:.1e} apart"

    def of_synflow() -> str:
        found = verify.saliency(copy.deepcopy(module).double(), "synflow", x.double(), rescale=False)
        if any("MaxPool" in type(m).__name__ for m in module.modules()):
            return "not compared: it sums over the windows of maxima"
        with torch.random.fork_rng(devices=[]):
            apart = _apart(found, _synflow(module, x))
        return "right" if apart < 1e-9 else f"WRONG: {apart:.1e} apart"

    say("module", "as it was")
    for column, function in (("trace", of_trace), ("snip", of_snip), ("assumptions", assumed), ("bound", of_bound),
                             ("synflow", of_synflow)):  # fmt: skip
        tried(column, function)


COLUMNS = ("library", "version", "model", "torch", "input", "parameters", "module", "assumptions", "assumptions s",
           "trace", "trace error", "trace s", "bound", "bound s", "snip", "snip s", "synflow", "synflow s", "ended",
           "seconds")  # fmt: skip


def row(library: str, name: str) -> dict[str, Any]:
    """The row of one model, from a process of its own."""
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            _in_child(library, name, said)
        _, status, used = os.wait4(child, 0)
        said.seek(0)
        found = dict(json.loads(line) for line in said)
    found["seconds"] = round(used.ru_utime + used.ru_stime, 1)
    if os.WIFSIGNALED(status):
        found["ended"] = f"too large: stopped after {SECONDS} s of processor time" if os.WTERMSIG(status) == 24 else (
            f"signal {os.WTERMSIG(status)}"
        )  # fmt: skip
    found |= {"library": library, "model": name, "version": sys.modules[library].__version__}
    found["torch"] = torch.__version__
    return {c: found.get(c, "") for c in COLUMNS}


def _in_child(library: str, name: str, said: Any) -> None:
    code = 1
    try:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")

        def say(key: str, value: Any) -> None:
            said.write(json.dumps([key, value]) + "\n")
            said.flush()

        try:
            measured(library, name, say)
            say("ended", "done")
        except Exception as e:
            say("ended", f"not built or not run by itself: {type(e).__name__}: {' '.join(str(e).split())[:140]}")
        code = 0
    finally:
        os._exit(code)


def models() -> Iterator[tuple[str, str]]:
    """Every model of the study."""
    for library, names in (("transformers", TRANSFORMERS), ("torchvision", TORCHVISION), ("timm", TIMM)):
        yield from ((library, name) for name in names)


def main() -> int:
    """Run what is missing, one row after the other, writing the table after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--again", metavar="MODEL", action="append", default=[], help="measure this one anew")
    options = parser.parse_args()
    rows = read_csv(RESULT) if RESULT.exists() else []
    rows = [r for r in rows if r["model"] not in options.again]
    known = {(r["library"], r["model"]) for r in rows}
    _torchvision()  # once, before the processes of the models, and before timm asks for it
    import timm  # noqa: F401
    import transformers  # noqa: F401

    import verify.networks.claims.assumptions
    import verify.networks.ntk.trace
    import verify.networks.paths.bound
    import verify.networks.scores.methods  # noqa: F401

    for library, name in models():
        if (library, name) in known:
            continue
        one = row(library, name)
        rows.append(one)
        print(json.dumps(one), flush=True)
        about = {**of_search(0), "note": f"weights drawn from seed 0, {SAMPLES} samples, {OUTPUTS} outputs, one thread"}
        write_csv(rows, RESULT, provenance=about)
    bad = [r for r in rows if any(str(v).startswith(("WRONG", "TRACEBACK", "CHANGED")) for v in r.values())]
    print(f"{len(rows)} models, {len(bad)} with something wrong: {', '.join(str(r['model']) for r in bad)}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
