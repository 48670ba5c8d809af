"""Random draws in Python, and what seeds them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from repro.project.audited import Draw
from repro.project.python_names import Names, is_constant, keyword

_SEEDS = {
    "random.seed": ("random",),
    "numpy.random.seed": ("numpy",),
    "numpy.random.set_state": ("numpy",),
    "torch.manual_seed": ("torch",),
    "torch.random.manual_seed": ("torch",),
    "tensorflow.random.set_seed": ("tensorflow",),
    "tensorflow.set_random_seed": ("tensorflow",),
}
_EVERYTHING = re.compile(
    r"(?:(?:pytorch_)?lightning|lightning\.pytorch|lightning\.fabric)\.(?:\w+\.)*seed_everything"
    r"|transformers\.(?:\w+\.)*set_seed|accelerate\.(?:\w+\.)*set_seed"
    r"|(?:tensorflow\.)?keras\.utils\.set_random_seed"
)
_ALL = ("random", "numpy", "torch", "tensorflow")
_MENDS = {
    "random": "call random.seed(1) first, or draw from random.Random(1)",
    "numpy": "draw from numpy.random.default_rng(1), or call numpy.random.seed(1) first",
    "torch": "call torch.manual_seed(1) first",
    "tensorflow": "call tensorflow.random.set_seed(1) first",
}
_RANDOM = re.compile(
    r"random\.(?:random|uniform|randint|randrange|choices?|shuffle|sample|gauss|normalvariate"
    r"|triangular|(?:beta|expo|gamma|lognorm|vonmises|pareto|weibull|binomial)\w*variate"
    r"|getrandbits|randbytes)"
)
_NUMPY = re.compile(
    r"numpy\.random\.(?:rand|randn|randint|random|random_sample|random_integers|ranf|sample|choice"
    r"|bytes|shuffle|permutation|beta|binomial|chisquare|dirichlet|exponential|f|gamma|geometric"
    r"|gumbel|hypergeometric|laplace|logistic|lognormal|logseries|multinomial|multivariate_normal"
    r"|negative_binomial|noncentral_chisquare|noncentral_f|normal|pareto|poisson|power|rayleigh"
    r"|standard_\w+|triangular|uniform|vonmises|wald|weibull|zipf)"
)
_TORCH = re.compile(
    r"torch\.(?:rand|randn|randint|randperm|rand_like|randn_like|randint_like|normal|bernoulli"
    r"|multinomial|poisson)|torch\.nn\.(?:Linear|Conv\dd|ConvTranspose\dd|LSTM|GRU|RNN|Embedding"
    r"|Transformer\w*|MultiheadAttention|Bilinear|Dropout\w*)|torch\.nn\.init\.\w+_"
)
_TENSORFLOW = re.compile(
    r"tensorflow\.random\.(?:normal|uniform|truncated_normal|shuffle|gamma|poisson|categorical)"
    r"|(?:tensorflow\.)?keras\.layers\.(?:Dense|Conv\dD|LSTM|GRU|Embedding|Dropout)"
)
_OWN = re.compile(
    r"numpy\.random\.(?:default_rng|RandomState|PCG64|PCG64DXSM|MT19937|Philox|SFC64|SeedSequence)"
    r"|random\.Random"
)
_NEVER = {
    "random.SystemRandom": "the system's randomness cannot be seeded: use random.Random(1)",
    "os.urandom": "the system's randomness cannot be seeded: use random.Random(1).randbytes(n)",
    "uuid.uuid1": "it differs in every run: number the items, or use uuid.uuid5",
    "uuid.uuid4": "it differs in every run: number the items, or use uuid.uuid5",
    "secrets.token_hex": "the system's randomness cannot be seeded: use random.Random(1)",
    "secrets.token_bytes": "the system's randomness cannot be seeded: use random.Random(1)",
    "secrets.randbelow": "the system's randomness cannot be seeded: use random.Random(1)",
    "secrets.choice": "the system's randomness cannot be seeded: use random.Random(1)",
}
_SKLEARN = re.compile(
    r"sklearn\.(?:\w+\.)+(?:train_test_split|(?:Stratified|Group)?ShuffleSplit"
    r"|StratifiedGroupKFold|Random\w+|ExtraTrees?\w+|GradientBoosting\w+|HistGradientBoosting\w+"
    r"|DecisionTree\w+|Bagging\w+|AdaBoost\w+|IsolationForest|MLP\w+|SGD\w+|Perceptron"
    r"|PassiveAggressive\w+|KMeans|MiniBatch\w+|BisectingKMeans|TSNE|MDS|SpectralEmbedding"
    r"|SpectralClustering|BayesianGaussianMixture|GaussianMixture|FastICA|LatentDirichletAllocation"
    r"|RandomizedSearchCV|HalvingRandomSearchCV|make_\w+|shuffle|resample|permutation_importance"
    r"|(?:Gaussian|Sparse)RandomProjection|Nystroem|RBFSampler|DictionaryLearning|SparsePCA)"
)
_SKLEARN_FIXED = ("make_pipeline", "make_union", "make_column_", "make_scorer")
_SKLEARN_SHUFFLED = re.compile(r"sklearn\.model_selection\.(?:KFold|StratifiedKFold)")
_CLOCKS = re.compile(r"time\.(?:time|time_ns|perf_counter\w*|monotonic\w*)|os\.getpid"
                     r"|datetime\.(?:datetime\.)?now(?:\.\w+)*")  # fmt: skip


def seeds_of(node: ast.Call, name: str) -> tuple[str, ...]:
    """The global generators that this call seeds with something that stays the same."""
    if _EVERYTHING.fullmatch(name):
        return _ALL
    generators = _SEEDS.get(name, ())
    return generators if generators and _is_seed(node) else ()


def draws_of(node: ast.Call, name: str, names: Names) -> Iterator[Draw]:
    """The draw that this call is, when no seed is given to itself."""
    line = node.lineno
    last = name.rpartition(".")[2]
    for generator, pattern in (
        ("random", _RANDOM), ("numpy", _NUMPY), ("torch", _TORCH), ("tensorflow", _TENSORFLOW),
    ):  # fmt: skip
        if pattern.fullmatch(name):
            if generator != "torch" or keyword(node, "generator") is None:
                yield Draw(generator=generator, call=name, line=line, mend=_MENDS[generator])
            return
    if _OWN.fullmatch(name):
        argument = node.args[0] if node.args else keyword(node, "seed")
        if not _is_seed(node):
            yield Draw(generator=None, call=f"{name}()", line=line, mend=f"write {last}(1)")
        elif isinstance(argument, ast.Call) and _CLOCKS.fullmatch(names.dotted(argument.func)):
            mend = f"write a fixed number: {last}(1)"
            yield Draw(generator=None, call=f"{name}(the clock)", line=line, mend=mend)
    elif name in _NEVER:
        yield Draw(generator=None, call=name, line=line, mend=_NEVER[name])
    elif _wants_random_state(node, name):
        mend = "give it random_state=1"
        yield Draw(generator="numpy", call=f"{last} without random_state", line=line, mend=mend)
    elif last == "sample" and _is_pandas_sample(node, name, names):
        mend = "give it random_state=1"
        yield Draw(generator="numpy", call=".sample() without random_state", line=line, mend=mend)


def _is_seed(node: ast.Call) -> bool:
    """Whether a seed is given at all: neither nothing nor None."""
    given = [*node.args[:1], *(each.value for each in node.keywords)]
    return bool(given) and not all(is_constant(each, None) for each in given)


def _wants_random_state(node: ast.Call, name: str) -> bool:
    state = keyword(node, "random_state")
    if any(each.arg is None for each in node.keywords):
        # `**options` may hold it.
        return False
    if state is not None and not is_constant(state, None):
        return False
    last = name.rpartition(".")[2]
    if name.startswith("scipy.stats.") and last == "rvs":
        return True
    if _SKLEARN_SHUFFLED.fullmatch(name):
        return is_constant(keyword(node, "shuffle"), True)
    if last == "train_test_split" and is_constant(keyword(node, "shuffle"), False):
        return False
    return _SKLEARN.fullmatch(name) is not None and not last.startswith(_SKLEARN_FIXED)


def _is_pandas_sample(node: ast.Call, name: str, names: Names) -> bool:
    """``frame.sample(n=…)`` or ``(frac=…)`` in a file that imports pandas."""
    if "pandas" not in names.imported or name.startswith("random."):
        return False
    state = keyword(node, "random_state")
    sized = keyword(node, "n") is not None or keyword(node, "frac") is not None
    return sized and (state is None or is_constant(state, None))
