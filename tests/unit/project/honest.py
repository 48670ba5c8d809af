"""Files that hold much that looks random and no secret: none may stop a snapshot."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import uuid

from tests.unit.project.planted import notebook

_DICE = random.Random(7)


def _sha(name: str, kind: str = "sha256") -> str:
    return hashlib.new(kind, name.encode()).hexdigest()


def _b64(count: int) -> str:
    return base64.b64encode(_DICE.randbytes(count)).decode()


def _uuid() -> str:
    return str(uuid.UUID(int=_DICE.getrandbits(128)))


def _word(count: int) -> str:
    return "".join(_DICE.choice(string.ascii_letters + string.digits) for _ in range(count))


def _wrapped(text: str, width: int = 76) -> str:
    return "\n".join(text[at : at + width] for at in range(0, len(text), width)) + "\n"


def _lock_files() -> dict[str, str]:
    names = [
        "js-tokens",
        "token-types",
        "keyring",
        "secretstorage",
        "password-prompt",
        "numpy",
        "authlib",
    ]
    npm = {
        f"node_modules/{n}": {
            "version": "4.0.0", "resolved": f"https://registry.npmjs.org/{n}/-/{n}-4.0.0.tgz",
            "integrity": "sha512-" + _b64(64), "license": "MIT",
        }
        for n in names
    }  # fmt: skip
    return {
        "package-lock.json": json.dumps({"lockfileVersion": 3, "packages": npm}, indent=2),
        "yarn.lock": "".join(
            f'{n}@^4.0.0:\n  version "4.0.0"\n  resolved "https://r.example.org/{n}.tgz#{_sha(n, "sha1")}"\n'
            f"  integrity sha512-{_b64(64)}\n" for n in names
        ),
        "poetry.lock": "".join(
            f'[[package]]\nname = "{n}"\nversion = "1.2.3"\nfiles = [\n'
            f'    {{file = "{n}-1.2.3.tar.gz", hash = "sha256:{_sha(n)}"}},\n]\n\n' for n in names
        ) + f'[metadata]\ncontent-hash = "{_sha("c")}"\n',
        "uv.lock": "".join(
            f'[[package]]\nname = "{n}"\nsource = {{ registry = "https://pypi.org/simple" }}\n'
            f'sdist = {{ url = "https://files.example.org/packages/{_sha(n)[:2]}/{n}.tar.gz", hash = "sha256:{_sha(n)}", size = 1 }}\n'
            for n in names
        ),
        "requirements.txt": "".join(f"{n}==1.2.3 \\\n    --hash=sha256:{_sha(n)}\n" for n in names),
        "Cargo.lock": "".join(f'[[package]]\nname = "{n}"\nchecksum = "{_sha(n)}"\n' for n in names),
        "renv.lock": json.dumps({"Packages": {n: {"Package": n, "Hash": _sha(n, "md5")} for n in names}}, indent=2),
        "Manifest.toml": "".join(f'[[deps.{n}]]\ngit-tree-sha1 = "{_sha(n, "sha1")}"\nuuid = "{_uuid()}"\n' for n in names),
        "conda-lock.yml": "".join(f"- name: {n}\n  hash:\n    md5: {_sha(n, 'md5')}\n    sha256: {_sha(n)}\n" for n in names),
        "go.sum": "".join(f"example.org/{n} v1.2.3 h1:{_b64(32)}\n" for n in names),
        "explicit.txt": "@EXPLICIT\n" + "".join(f"https://conda.example.org/{n}.conda#{_sha(n, 'md5')}\n" for n in names),
        "SHA256SUMS": "".join(f"{_sha(n)}  {n}.csv\n" for n in names),
        "data.csv.dvc": f"outs:\n- md5: {_sha('d', 'md5')}\n  size: 10\n  hash: md5\n  path: data.csv\n",
    }  # fmt: skip


def _notebooks() -> dict[str, str]:
    picture = _wrapped(_b64(60_000))
    inside = "<img src='data:image/png;base64," + _b64(9000) + "'>"
    return {
        "picture.ipynb": notebook("plot()", image_png=picture),
        "jpeg.ipynb": notebook("plot()", image_jpeg=_b64(80_000)),
        "inline.ipynb": notebook("show()", text_html=inside),
        "estimator.ipynb": notebook(
            "model", text_html="<style>#sk-container-id-1 div.sk-toggleable__content{}</style>"
            '<div id="sk-container-id-1" class="sk-top-container"><div class="sk-estimator-doc-link fitted">',
        ),
        "widget.ipynb": notebook("bar()", application_json=json.dumps({"model_id": _uuid().replace("-", "")})),
        "tokens.ipynb": notebook(
            'tokenizer = load()\ntok = tokenizer.encode("a")\npad_token="[PAD]"\neos_token="<|endoftext|>"\n',
            "token: 50256\nkey: temperature\npassword: required\n",
        ),
        "keys.ipynb": notebook('df.merge(b, on="site_key")\nkey = "temperature_mean_2020"\napi_key = os.environ["API_KEY"]\n'),
        "getpass.ipynb": notebook('password = getpass("Password: ")\nlogin(user, password=password)\n'),
    }  # fmt: skip


def _sources() -> dict[str, str]:
    return {
        "hashes.py": f'EXPECTED = "{_sha("x")}"\nKNOWN = {{"data.csv": "{_sha("y", "md5")}"}}\ncache_key = "{_sha("z")}"\n',
        "code.py": (
            'def login(user, password="", token=None, api_key=None):\n'
            '    password = password or os.environ["DB_PASSWORD"]\n'
            "    token = config['token']\n    secret = settings.secret\n"
            '    help = "Enter your password"\n    key = "field_" + name\n'
            '    if password == "":\n        raise ValueError("no password")\n'
            '    api_key = f"{prefix}{number}"\n    password_field = "user_password"\n'
            '    public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"\n'
        ),
        "template.py": 'API_KEY = "YOUR_API_KEY"\ntoken = "<token>"\npassword = "changeme"\nsecret = "xxxxxxxxxxxx"\nkey = "insert-your-key-here"\n',
        "min.js": (
            "!function(e,t){var n=e.password,r=t.token;e.exports={key:n.key,secret:r,auth:!0};"
            'var o="SECRET_DO_NOT_PASS_THIS_OR_YOU_WILL_BE_FIRED";' * 400
            + 'i.type="password",i.autocomplete="current-password",i.tokenName="csrfToken"}(this);'
        ),
        "min.css": ".sk-cube-grid .sk-cube{width:33%}.token.keyword{color:#07a}.password-input{}" * 300,
        "bundle.js.map": json.dumps({"version": 3, "mappings": "AAAA,SAAS,GAAG" * 3000, "sources": ["a.ts"]}),
        "page.html": '<input name="password" type="password" placeholder="Password"><meta name="csrf-token" content="">'
        "\n<script>//# sourceMappingURL=data:application/json;base64," + _b64(4000) + "</script>\n",
        "i18n.json": json.dumps({"password": "Passwort", "token": "Marke", "forgotPassword": "Passwort vergessen?", "secret": "Geheimnis"}),
        "schema.json": json.dumps({"password": {"type": "string"}, "token": "string", "secret": "required", "api_key": "optional"}),
        "openapi.yml": "password: string\ntoken: string\nsecret: my-secret-name\nkey: value\napi_key: ${API_KEY}\n",
        "ci.yml": "env:\n  TOKEN: ${{ secrets.GITHUB_TOKEN }}\n  PYPI_PASSWORD: $PYPI_PASSWORD\n  KEY: ci-{{ checksum \"a\" }}\n",
        "run.sh": 'export TOKEN="$1"\nPASSWORD=$(cat /run/secrets/p)\nexport API_KEY=${API_KEY:?}\nKEYFILE=/etc/x.key\ntool --password "$PASSWORD" --key-file key.txt\n',
        "paths.sh": '[[ "$PWD" == "$PYENV_ROOT/versions/"* ]]\nOLDPWD="$HOME/work/dir"\ncd "${OLDPWD}"\n',
        "tokenizer.json": json.dumps({"model": {"vocab": {f"{_word(6)}": n for n in range(3000)}, "unk_token": "[UNK]"}, "password": 2984}),
        "refs.bib": "@article{key2020, doi={10.1000/182}, url={https://example.org/a?id=" + _uuid() + "}}\n",
        "urls.md": "See https://example.org:8080/a and git@github.com:lab/a.git, ssh://git@host/x; ftp://host:21/.\n"
        "postgresql://user:password@localhost/db, https://USER:PASS@host, https://{user}:{password}@host\n",
        "README.md": "Set `API_KEY=...` first. The token: see the manual. password: ask Ann. Key: value.\n",
        "public.txt": "-----BEGIN CERTIFICATE-----\n" + _wrapped(_b64(900), 64) + "-----END CERTIFICATE-----\n"
        "-----BEGIN PUBLIC KEY-----\n" + _wrapped(_b64(200), 64) + "-----END PUBLIC KEY-----\n"
        "ssh-rsa " + _b64(270) + " ann\n",
        "mentions.py": 'if "-----BEGIN PRIVATE KEY-----" in text:\n    raise ValueError("ghp_ or AKIA or sk- or hf_ tokens")\n',
        "Makefile": "KEY=out/key.txt\nall: $(KEY)\n\ttool --token-limit 2048 --key=name\n",
        "paths.ini": "private_key = /home/x/.ssh/id_rsa\npassword_file = secrets/db.txt\ntoken_url = https://example.org/oauth/token\n",
    }  # fmt: skip


def _data() -> dict[str, str]:
    rows = "".join(f"{n},{_DICE.random()},{_uuid()},{_sha(str(n), 'md5')}\n" for n in range(3000))
    sequence = "".join(_DICE.choice("ACGT") for _ in range(20_000))
    protein = "".join(_DICE.choice("ACDEFGHIKLMNPQRSTVWY") for _ in range(20_000))
    return {
        "measures.csv": "id,value,uuid,digest\n" + rows,
        "keys.csv": "key,token,password_hash,auth\n" + "".join(f"k{n},t{n},{_sha(str(n))},no\n" for n in range(500)),
        "genome.fasta": ">chr1\n" + _wrapped(sequence, 60),
        "protein.fasta": ">sp|P12345\n" + _wrapped(protein, 60),
        "uuids.json": json.dumps([{"id": _uuid(), "key": _uuid(), "token": _uuid()} for _ in range(300)]),
        "ids.json": json.dumps([{"key": _sha(str(n)), "etag": _sha(str(n), "md5"), "hash": _word(44)} for n in range(300)]),
        "blob.txt": _wrapped(_b64(90_000)),
        "figure.svg": f'<svg><path d="M1 2L3 4" id="{_uuid()}"/><image href="data:image/png;base64,{_b64(20_000)}"/></svg>',
        "weights.json": json.dumps({"layer.0.attention.key.weight": [_DICE.random() for _ in range(2000)], "key": "query"}),
        "long.txt": "word " * 200_000,
    }  # fmt: skip


def files() -> dict[str, str]:
    """Everything honest, by name."""
    return {**_lock_files(), **_notebooks(), **_sources(), **_data()}
