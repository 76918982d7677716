"""Python programs run as a user would, in children of a server that has imported the large libraries already.

A child has its own working directory, environment, arguments and output, and imports our own packages anew; it only
spares the seconds that importing torch takes. Where a test asks what is imported, it starts a process of its own.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["torch", "scipy.stats", "scipy.optimize", "sklearn.datasets", "matplotlib.pyplot", "flint"]
)


def python(*words, cwd, env=None):
    """``python WORDS`` (``-m MODULE ...``, ``-c CODE ...`` or ``FILE ...``) in a folder; both outputs as text.

    Args:
        words: the arguments.
        cwd: the folder to run it in.
        env: the environment; None: that of the test.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        child = SERVER.Process(target=_run, args=(words, str(cwd), dict(env or os.environ), str(out), str(err)))
        child.start()
        child.join()
        return subprocess.CompletedProcess(words, child.exitcode, out.read_text(), err.read_text())


def _run(words, cwd, env, out, err):
    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    paths = [p for p in env.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:0] = paths
    if words[0] == "-m":
        sys.path.insert(0, cwd)
        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path.insert(0, str(Path(cwd, words[0]).parent))
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")


def run_pytest(pytester, *options):
    """`pytester.runpytest_subprocess` in such a child."""
    done = python("-m", "pytest", "-p", "no:cacheprovider", *options, cwd=pytester.path)
    return pytest.RunResult(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), 0)
