"""A notebook to play with: pip install marimo, then `marimo edit docs/notebook.py` (or `marimo run` to only look)."""

import marimo

app = marimo.App(app_title="Pruning theorems: a notebook")


@app.cell
def start():
    from fractions import Fraction

    import marimo as mo

    from verify.certificates.drawing import network_svg
    from verify.certificates.second_opinion import Net, pruned

    mo.md(
        """
        # Three weights

        A network with three weights, $h = \\mathrm{relu}(a x_1 + b x_2)$ and $y = c\\,h$, and one sample. Move the
        sliders. All numbers are exact.
        """
    )
    return Fraction, Net, mo, network_svg, pruned


@app.cell
def sliders(mo):
    a = mo.ui.slider(-4, 4, 0.5, value=1, label="weight a", show_value=True)
    b = mo.ui.slider(-4, 4, 0.5, value=2, label="weight b", show_value=True)
    c = mo.ui.slider(-4, 4, 0.5, value=1, label="weight c", show_value=True)
    x1 = mo.ui.slider(-4, 4, 0.5, value=3, label="input x1", show_value=True)
    x2 = mo.ui.slider(-4, 4, 0.5, value=-1, label="input x2", show_value=True)
    mo.vstack([a, b, c, x1, x2])
    return a, b, c, x1, x2


@app.cell
def the_network(Fraction, Net, a, b, c, x1, x2):
    def exact(slider):
        return str(Fraction(slider.value))

    instance = {
        "network": {
            "units": ["input", "input", "relu", "linear"],
            "edges": [[0, 2, 0, "1"], [1, 2, 1, "1"], [2, 3, 2, "1"]],
            "outputs": [3],
            "layers": [[0, 1], [2]],
            "slope": "1/4",
        },
        "theta": [exact(a), exact(b), exact(c)],
        "x": [[exact(x1), exact(x2)]],
        "keep": 2,
        "rounds": 1,
        "scorer": "px",
        "schedule": "one-at-a-time",
        "rule": "by-index",
        "scope": "global",
        "scored": "all",
        "rescore": True,
    }
    net = Net(instance)
    return instance, net


@app.cell
def px_dies(instance, mo, net, network_svg, pruned):
    scores = net.scores("px", net.activation())
    kept = pruned(instance)
    after = type(net)(instance, [t if j in kept else t * 0 for j, t in enumerate(net.theta)])
    before_y, after_y = (n.walk(n.x[0])[0][3][0] for n in (net, after))
    if before_y == 0:
        verdict = "The network is off on this sample from the start."
    elif after_y == 0:
        verdict = "**PX has killed the network**: what is left is 0 on the data, and its tangent kernel is 0."
    else:
        verdict = "The network lives on."
    mo.md(
        f"""
        ## Does PX keep it alive?

        PX scores a weight by its share of $\\sum_k D_k \\sum_p v_p^2$, and removes the weight of the smallest score.

        {network_svg(instance, "the network", notes={j: f"score {s}" for j, s in enumerate(scores)})}
        {network_svg(instance, "what PX leaves", kept=kept)}

        The output was {before_y} and is {after_y}. {verdict}
        """
    )
    return


@app.cell
def synflow_or_sketch(a, b, c, mo):
    from math import hypot

    u, v, w = abs(a.value), abs(b.value), abs(c.value)
    flow = [u * w, v * w, (u + v) * w]
    sketch = [u * w, v * w, hypot(u, v) * w]

    def shares(values):
        return [f"{100 * x / sum(values):.1f} %" if sum(values) else "none" for x in values]

    rows = [
        f"| {name} | {one} | {other} |" for name, one, other in zip("abc", shares(flow), shares(sketch), strict=True)
    ]
    mo.md(
        "## SynFlow against the sketch\n\n"
        "Leave out the ReLU. For inputs from a standard normal law the best sketch draws a weight with probability "
        "proportional to $|w_j| \\sqrt{E(\\partial f/\\partial w_j)^2}$. SynFlow adds the two paths through c, "
        "$|a| + |b|$; the sketch adds their squares, $\\sqrt{a^2 + b^2}$. They agree when a or b is 0.\n\n"
        "| weight | SynFlow's share | the sketch's share |\n|---|---|---|\n" + "\n".join(rows)
    )
    return


@app.cell
def trace_and_bound(mo, net):
    trace, activation, kernel = net.trace(), net.activation(), net.kernel()
    bound = sum(activation) * sum(kernel)
    ratio = f"The bound is {float(bound / trace):.3g} times the trace." if trace else "The trace is 0."
    mo.md(
        f"""
        ## The trace of the tangent kernel, and its bound

        The trace is {trace}. Path activation times path kernel is {sum(activation)} x {sum(kernel)} = {bound}.
        {ratio} The gates stand in the first factor only; the second counts weights behind closed gates as well.
        """
    )
    return


@app.cell
def your_own(mo):
    widths = mo.ui.text("3-4-2", label="widths, inputs first")
    unit = mo.ui.dropdown(["relu", "leaky relu", "tanh", "gelu"], value="relu", label="activation")
    biases = mo.ui.checkbox(label="biases")
    normalised = mo.ui.checkbox(label="batch normalisation")
    mo.vstack([mo.md("## Your own network: which theorems hold?"), widths, unit, biases, normalised])
    return biases, normalised, unit, widths


@app.cell
def which_hold(biases, mo, normalised, unit, widths):
    from itertools import pairwise

    import torch
    from torch import nn

    import verify

    units = {"relu": nn.ReLU, "leaky relu": nn.LeakyReLU, "tanh": nn.Tanh, "gelu": nn.GELU}

    def build(sizes):
        torch.manual_seed(0)
        layers = []
        for inputs, outputs in pairwise(sizes[:-1]):
            layers.append(nn.Linear(inputs, outputs, bias=biases.value))
            layers += [nn.BatchNorm1d(outputs)] if normalised.value else []
            layers.append(units[unit.value]())
        return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1], bias=biases.value)).eval()

    parts = widths.value.split("-")
    if len(parts) < 2 or not all(p.strip().isdigit() and 0 < int(p) <= 64 for p in parts):
        answer = "Write widths from 1 to 64 with dashes between them, such as 3-4-2."
    else:
        sizes = [int(p) for p in parts]
        module = build(sizes)
        answer = str(verify.examine(module, torch.randn(4, sizes[0]), name=widths.value, examples=25))
    mo.md(f"```text\n{answer}\n```")
    return


if __name__ == "__main__":
    app.run()
