"""Jupyter for `repro`: runs inside the sealed environment, starts the server that the image holds.

argv: the folder to work in. It listens on a unix socket in FOLDER, which is memory of the
sandbox: nothing of it stays in a container's layer. Ends with 97 when there is no server.
"""

import os
import sys

FOLDER = "/dev/shm/repro-jupyter"
SERVERS = ("jupyterlab", "notebook", "nbclassic", "jupyter_server")
NONE_HERE = 97


def server():
    """The best server of this interpreter, None when it has none."""
    try:
        import importlib.util  # an image may hold only what the analysis read
    except ImportError:
        return None
    for name in SERVERS:
        try:
            if importlib.util.find_spec(name + ".__main__") is not None:
                return name
        except (ImportError, ValueError):
            continue
    return None


def options(name, root):
    """Its command line. Notebook 6 has names of its own."""
    import importlib.metadata

    old = name == "notebook" and int(importlib.metadata.version(name).split(".")[0]) < 7
    app, folder = ("NotebookApp", "notebook_dir") if old else ("ServerApp", "root_dir")
    return [
        "--no-browser",
        f"--{app}.sock={FOLDER}/sock",
        f"--{app}.sock_mode=0600",
        f"--{app}.{folder}={root}",
    ]


def main():
    root = sys.argv[1]
    sys.path[:] = [place for place in sys.path if place]  # nothing of the project is imported
    name = server()
    if name is None:
        sys.exit(NONE_HERE)
    os.makedirs(FOLDER + "/config", mode=0o700)
    token = os.urandom(24).hex()
    # By the environment: a command line can be read by every user of the machine.
    os.environ.update(
        JUPYTER_TOKEN=token,
        JUPYTER_CONFIG_DIR=FOLDER + "/config",
        JUPYTER_RUNTIME_DIR=FOLDER + "/runtime",
    )
    if os.environ.get("MPLBACKEND") == "Agg":
        del os.environ["MPLBACKEND"]  # set for scripts; a notebook would show no figure
    with open(FOLDER + "/unfinished", "w") as stream:
        stream.write(name + " " + token)
    os.rename(FOLDER + "/unfinished", FOLDER + "/token")
    os.chdir(FOLDER + "/config")
    os.execv(sys.executable, [sys.executable, "-m", name, *options(name, root)])


main()
