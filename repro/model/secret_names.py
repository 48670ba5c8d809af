"""Which files hold a credential by their place and name alone: the one list of them."""

from __future__ import annotations

import re

_NAMES = re.compile(
    r"\.env(?:\.(?!example$|sample$|template$|dist$).+)?|\.envrc|[._]netrc|\.git-credentials"
    r"|\.pgpass|pgpass\.conf"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|.+\.(?:pem|p12|pfx|key|keystore|jks|ppk|kdbx|agekey)"
    r"|\.htpasswd|\.pypirc|\.npmrc|\.?credentials|\.dockercfg|kubeconfig|repl_history\.jl"
    r"|\.(?:bash|zsh|sh|python|node_repl|psql|mysql|sqlite|irb|octave|rediscli|duckdb)_?history"
    r"|\.?history\.sqlite|\.Rhistory|fish_history|\.lesshst|\.viminfo|\.wget-hsts"
    r"|\.my\.cnf|\.mylogin\.cnf|\.s3cfg|\.boto|\.passwd-s3fs|rclone\.conf|\.vault-token|\.cdsapirc"
    r"|kaggle\.json|application_default_credentials\.json|\.smbcredentials|\.curlrc|\.wgetrc"
)
_FOLDERS = re.compile(
    r"/(?:\.ssh|\.aws|\.azure|\.gnupg|\.docker|\.kube|\.config/(?:gcloud|gh|hub|rclone|doctl)"
    r"|\.password-store|\.local/share/keyrings|\.huggingface)/"
    r"|/\.cache/huggingface/token$|/\.streamlit/secrets\.toml$|/\.git-credential-cache/"
)
_HARMLESS = re.compile(r"/etc/ssl/|/ca-certificates|/certifi/|/cacert\.pem$|/site-packages/")


def named_secret(name: str) -> bool:
    """Whether a file's name alone says that it holds a credential."""
    return _NAMES.fullmatch(name) is not None


def looks_secret(path: str, home: str) -> bool:
    """Whether an absolute path's place below ``home`` or its name says so.

    Certificates that come with a system or a package are none.
    """
    if _HARMLESS.search(path):
        return False
    if path.startswith(home + "/") and _FOLDERS.search(path):
        return True
    return named_secret(path.rpartition("/")[2])
