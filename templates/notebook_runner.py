"""Execute a notebook cell by cell and write the results into it.

Placed by repro into a project as .repro/notebook.py, and packed with it, so that the
archive can be rerun with nothing but the project's own environment. Needs only
jupyter_client (ipykernel brings it). Usage: python .repro/notebook.py NOTEBOOK
"""

import json
import os
import sys
from queue import Empty

NOT_FOUND, CELL_FAILED, KERNEL_DIED = 3, 1, 4
TIMING_KEYS = ("execution", "ExecuteTime", "collapsed")


def joined(text):
    return text if isinstance(text, str) else "".join(text)


def output_of(kind, content):
    """The nbformat 4 output of an IOPub message, or None."""
    if kind == "stream":
        return {"output_type": "stream", "name": content["name"], "text": content["text"]}
    if kind == "error":
        return {
            "output_type": "error",
            "ename": content["ename"],
            "evalue": content["evalue"],
            "traceback": content["traceback"],
        }
    if kind in ("display_data", "update_display_data", "execute_result"):
        found = {
            "output_type": "execute_result" if kind == "execute_result" else "display_data",
            "data": content["data"],
            "metadata": content.get("metadata", {}),
        }
        if kind == "execute_result":
            found["execution_count"] = content["execution_count"]
        return found
    return None


class Runner:
    def __init__(self, client):
        self.client = client
        self.displays = {}

    def run(self, source):
        """(outputs, execution count) of one cell."""
        message = self.client.execute(source, allow_stdin=False, stop_on_error=False)
        outputs = []
        state = {"clear": False}
        while True:
            try:
                reply = self.client.get_iopub_msg(timeout=1)
            except Empty:
                if not self.client.is_alive():
                    raise SystemExit(KERNEL_DIED)
                continue
            if reply["parent_header"].get("msg_id") != message:
                continue
            kind, content = reply["msg_type"], reply["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            self.take(kind, content, outputs, state)
        count = None
        while True:
            answer = self.client.get_shell_msg(timeout=None)
            if answer["parent_header"].get("msg_id") == message:
                count = answer["content"].get("execution_count")
                break
        return outputs, count

    def take(self, kind, content, outputs, state):
        if kind == "clear_output":
            if content.get("wait"):
                state["clear"] = True
            else:
                del outputs[:]
            return
        found = output_of(kind, content)
        if found is None:
            return
        if state["clear"]:
            del outputs[:]
            state["clear"] = False
        display = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            for shown in self.displays.get(display, []):
                shown["data"], shown["metadata"] = found["data"], found["metadata"]
            return
        last = outputs[-1] if outputs else {}
        if kind == "stream" and last.get("name") == found["name"]:
            last["text"] += found["text"]
            return
        outputs.append(found)
        if display:
            self.displays.setdefault(display, []).append(found)


def lines(text):
    return text.splitlines(True)


def tidy(output):
    """Long texts as lists of lines, the way notebooks are kept in files."""
    if output["output_type"] == "stream":
        output["text"] = lines(output["text"])
    for kind, value in output.get("data", {}).items():
        textual = kind.startswith("text/") or kind in ("application/javascript", "image/svg+xml")
        if textual and isinstance(value, str):
            output["data"][kind] = lines(value)
    return output


def start(notebook):
    try:
        from jupyter_client.kernelspec import NoSuchKernel
        from jupyter_client.manager import start_new_kernel
    except ImportError:
        sys.exit("this Python has no jupyter_client: pip install ipykernel")
    name = notebook.get("metadata", {}).get("kernelspec", {}).get("name", "python3")
    folder = os.path.dirname(os.path.abspath(sys.argv[1]))
    # Set for scripts, which have no display. A kernel draws into the notebook, but only when
    # nothing is set: with Agg a notebook without `%matplotlib inline` loses every figure.
    if os.environ.get("MPLBACKEND") == "Agg":
        del os.environ["MPLBACKEND"]
    try:
        return start_new_kernel(kernel_name=name, startup_timeout=120, cwd=folder)
    except NoSuchKernel:
        mend = "pip install ipykernel" if name.startswith("python") else "install its kernel"
        print("the notebook's kernel %r is not installed: %s" % (name, mend), file=sys.stderr)
        raise SystemExit(NOT_FOUND)


def execute(notebook):
    manager, client = start(notebook)
    runner = Runner(client)
    failed = None
    try:
        for number, cell in enumerate(notebook["cells"]):
            if cell.get("cell_type") != "code":
                continue
            for key in TIMING_KEYS:
                cell.get("metadata", {}).pop(key, None)
            cell["outputs"], cell["execution_count"] = [], None
            source = joined(cell["source"])
            if failed is not None or not source.strip():
                continue
            outputs, cell["execution_count"] = runner.run(source)
            cell["outputs"] = outputs
            allowed = "raises-exception" in cell.get("metadata", {}).get("tags", [])
            errors = [out for out in outputs if out["output_type"] == "error"]
            if errors and not allowed:
                failed = (number, errors[0])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            tidy(output)
    return failed


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as stream:
        notebook = json.load(stream)
    if notebook.get("nbformat") != 4:
        sys.exit("only notebooks of format 4 are executed: jupyter nbconvert --to notebook " + path)
    failed = execute(notebook)
    if failed is not None:
        number, error = failed
        print("cell %d failed: %s: %s" % (number + 1, error["ename"], error["evalue"]),
              file=sys.stderr)
        for line in error["traceback"][-8:]:
            print(line, file=sys.stderr)
        sys.exit(CELL_FAILED)
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")


if __name__ == "__main__":
    main()
