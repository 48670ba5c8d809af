"""Credentials as they are found in projects, made up anew: none of them opens anything.

They are put together from parts, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import base64
import json
import random
import string

_DICE = random.Random(20261124)
LAKE = "blue7" + "lake"
"""A password that is weak enough to be somebody's."""

_ALNUM = string.ascii_letters + string.digits


def letters(count: int, alphabet: str = _ALNUM) -> str:
    """Random characters with all three classes of them where the alphabet has them."""
    while True:
        found = "".join(_DICE.choice(alphabet) for _ in range(count))
        if any(char.isdigit() for char in found) and len(set(found)) >= min(10, count // 2 + 1):
            return found


def hexes(count: int) -> str:
    return letters(count, "0123456789abcdef")


def b64(count: int) -> str:
    return base64.b64encode(_DICE.randbytes(count)).decode()


def jwt() -> str:
    def part(fields: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part({'sub': 'someone'})}.{letters(43)}"


def pem(kind: str, lines: int = 6, end: str = "\n") -> str:
    body = end.join(b64(48) for _ in range(lines))
    return f"-----BEGIN {kind}PRIVATE KEY-----{end}{body}{end}-----END {kind}PRIVATE KEY-----{end}"


def tokens() -> dict[str, str]:
    """Tokens by what they are."""
    return {
        "aws": "AKIA" + letters(16, string.ascii_uppercase + "234567"),
        "github": "ghp_" + letters(36),
        "github-fine": "github_pat_" + letters(22) + "_" + letters(59),
        "github-app": "ghs_" + letters(36),
        "gitlab": "glpat-" + letters(20),
        "slack": f"xoxb-{letters(12, string.digits)}-{letters(12, string.digits)}-{letters(24)}",
        "slack-hook": "https://hooks.slack.com/services/T"
        + letters(8)
        + "/B"
        + letters(8)
        + "/"
        + letters(24),
        "google": "AIza" + letters(35),
        "google-client": "GOCSPX-" + letters(28),
        "openai": "sk-" + letters(20) + "T3Blbk" + "FJ" + letters(20),
        "openai-project": "sk-proj-" + letters(74) + "T3Blbk" + "FJ" + letters(74),
        "anthropic": "sk-ant-api03-" + letters(93) + "AA",
        "huggingface": "hf_" + letters(34),
        "pypi": "pypi-AgE" + "IcHlwaS5vcmc" + letters(120),
        "npm": "npm_" + letters(36),
        "stripe": "sk_live_" + letters(24),
        "sendgrid": "SG." + letters(22) + "." + letters(43),
        "jwt": jwt(),
        "telegram": letters(10, string.digits) + ":AA" + letters(33),
        "digitalocean": "dop_v1_" + hexes(64),
        "databricks": "dapi" + hexes(32),
        "docker": "dckr_pat_" + letters(27),
        "vault": "hvs." + letters(90),
        "twilio": "SK" + hexes(32),
        "replicate": "r8_" + letters(37),
        "groq": "gsk_" + letters(52),
        "discord-hook": "https://discord.com/api/webhooks/"
        + letters(18, string.digits)
        + "/"
        + letters(68),
        "azure": "DefaultEndpointsProtocol=https;AccountName=lab;AccountKey="
        + b64(64)
        + ";EndpointSuffix=core.windows.net",
    }


def files() -> dict[str, str]:
    """Files of a project, each with one credential in it and nothing else that is one."""
    token = {name: value for name, value in tokens().items()}
    found = {
        f"token_{name}.py": f"import x\n\nclient = x.Client('{value}')\n"
        for name, value in token.items()
    }
    found |= {
        "keys/rsa.txt": "my key\n" + pem("RSA "),
        "keys/openssh.txt": pem("OPENSSH "),
        "keys/pkcs8.json": json.dumps({"type": "service_account", "private_key": pem("")}),
        "keys/encrypted.asc": "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----\nVersion: 1\n\n" + b64(48) + "\n",
        "keys/putty.txt": "PuTTY-User-" "Key-File-2: ssh-rsa\nEncryption: none\n",
        "git/config": f'[remote "origin"]\n\turl = https://ann:{letters(20)}@git.example.org/a.git\n',
        "git/header": f"\textraheader = AUTHORIZATION: basic {base64.b64encode(b'x:' + letters(20).encode()).decode()}\n",
        "netrc.txt": f"machine data.example.org login ann password {letters(9)}\n",
        "db.py": f'engine = connect("postgresql://ann:{letters(9)}@db.example.org/lab")\n',
        "settings.py": f'DEBUG = True\nSECRET_KEY = "django-insecure-{letters(40)}"\n',
        "password.py": f'password = "{LAKE}!"\n',
        "typed.py": f'db_password: str = "{LAKE.title()}"\n',
        "nested.json": json.dumps({"db": {"user": "ann", "password": LAKE[3:]}}, indent=1),
        "setter.py": f'os.environ["ZENODO_TOKEN"] = "{letters(40)}"\n',
        "default.py": f'os.environ.setdefault("WANDB_API_KEY", "{hexes(40)}")\n',
        "analysis.R": f'Sys.setenv(GITHUB_PAT = "{hexes(40)}")\npassword <- "{LAKE}-lake"\n',
        "model.jl": f'const API_KEY = "{letters(32)}"\n',
        "fetch.sh": f"export API_TOKEN={letters(32)}\ncurl -O https://example.org\n",
        "fetch2.sh": f"curl -u ann:{LAKE} https://example.org/data\n",
        "fetch3.sh": f"tool --password {LAKE} --out x\n",
        "fetch4.py": f"requests.get(u, headers={{'Authorization': 'Bearer {letters(40)}'}})\n",
        "config.yml": f"user: ann\npassword: {LAKE}\n",
        "config.ini": f"[s3]\nsecret_access_key = {b64(30)}\n",
        "config.toml": f'client_secret = "{letters(32)}"\n',
        "Dockerfile": f"FROM debian\nENV API_KEY={letters(30)}\n",
        "kube.yaml": f"users:\n- name: a\n  user:\n    token: {letters(60)}\n",
        "docker.json": json.dumps({"auths": {"r.example.org": {"auth": base64.b64encode(f"ann:{LAKE}".encode()).decode()}}}),
        "sas.txt": "https://lab.blob.core.windows.net/x?sv=2022&sig=" + letters(43) + "%3D&se=2027\n",
        "jupyter.log": f"http://localhost:8888/lab?token={hexes(48)}\n",
        "notes.md": f"To log in:\n\npassword: {LAKE}\n",
        "app.js": f'const cfg={{apiKey:"{letters(32)}",debug:!0}};\n',
        "Mail.java": f'mail.setPassword("{LAKE}");\n',
        ".Renviron": f"GITHUB_PAT={letters(40)}\n",
    }  # fmt: skip
    return found


def notebook(source: str = "", printed: str = "", **more: str) -> str:
    """A notebook of one code cell; ``more`` are further outputs by media type."""
    outputs: list[dict[str, object]] = []
    if printed:
        outputs.append(
            {"output_type": "stream", "name": "stdout", "text": printed.splitlines(True)}
        )
    if more:
        data = {kind.replace("_", "/", 1): value.splitlines(True) for kind, value in more.items()}
        outputs.append({"output_type": "execute_result", "data": data, "metadata": {}})
    cell = {
        "cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": outputs,
        "source": source.splitlines(True),
    }  # fmt: skip
    return json.dumps(
        {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1
    )


def notebooks() -> dict[str, str]:
    """Notebooks with one credential each: in a source, a stream, a table, an error."""
    token = tokens()
    return {
        "source.ipynb": notebook(f'import x\ntoken = "{token["github"]}"\n'),
        "escaped.ipynb": notebook(f'login(\n    password="{LAKE}",\n)\n'),
        "magic.ipynb": notebook(f"%env API_TOKEN={letters(32)}\n"),
        "stream.ipynb": notebook("print(x)", f"start\nkey is {token['openai']}\n"),
        "environ.ipynb": notebook("os.environ", text_plain=f"{{'HF_TOKEN': '{token['huggingface']}'}}"),
        "table.ipynb": notebook("t", text_html=f"<table><td>{token['aws']}</td></table>"),
        "settings.ipynb": notebook("!cat c.ini", f"[db]\npassword = {LAKE}\n"),
        "url.ipynb": notebook("!git remote -v", f"origin https://ann:{letters(20)}@git.example.org/a (fetch)\n"),
    }  # fmt: skip
