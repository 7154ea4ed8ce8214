"""Parameter groups: which parameters decay, and which turn."""

from typing import Any

from torch import Tensor, nn

from cwn_lite.checks import check_bool, check_count, check_module, check_nonnegative
from cwn_lite.holding import EVERY
from cwn_lite.layers import ScaleBias
from cwn_lite.rows import CONVOLUTIONS, layout
from cwn_lite.selection import Named, select
from cwn_lite.settings import Centralize, settle
from cwn_lite.weights import check_directions

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


def param_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return two groups for an optimizer: weights that decay; scales, norms and biases that do not.

    The paper applies no decay to ``γ`` and ``β``. Constrained weights may decay: the projection undoes all but a
    factor on the learning rate, ``1 / (1 − αλ)`` without momentum.

    Args:
        model: its trainable parameters are shared out, each once.
        weight_decay: the decay ``λ`` of the first group, at least 0.

    Returns:
        ``[{"params", "weight_decay": λ}, {"params", "weight_decay": 0.0}]``.

    Raises:
        TypeError: ``model`` is not a module, or ``weight_decay`` no number.
        ValueError: ``weight_decay`` is negative or not finite.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), ScaleBias(3))
        >>> [(len(g["params"]), g["weight_decay"]) for g in param_groups(model, 1e-3)]
        [(1, 0.001), (3, 0.0)]

    Reference: Ikami, Irie, Shibata, WACV 2021, section 4.1.1.
    """
    check_module("model", model)
    weight_decay = check_nonnegative("weight_decay", weight_decay)
    free = _without_decay(model)
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if id(p) not in free], "weight_decay": weight_decay},
        {"params": [p for p in trainable if id(p) in free], "weight_decay": 0.0},
    ]


def angular_groups(
    model: nn.Module,
    lr: float = 0.015,
    *,
    rest: float = 0.2,
    weight_decay: float = 0.05,
    centralize: Centralize | None = None,
    exclude: Named | None = None,
    include: Named | None = None,
    classifier: Named | None = None,
) -> list[dict[str, Any]]:
    """Return groups for :class:`cwn_lite.AngularMuon`: weights that turn; others that decay; scales, norms and biases.

    The weights that turn are those that :func:`cwn_lite.constrain` would constrain, in one group for each way of
    storing them, so grouped and transposed convolutions have groups of their own.

    Args:
        model: its trainable parameters are shared out, each once. With its batch norms kept, it gets the same steps;
            ``coherence_decay=0`` then, since nothing projects what the pull shrinks.
        lr: angle in radians that rows turn per step, as for :class:`cwn_lite.AngularMuon`.
        rest: rate of AdamW for all else, as a multiple of ``lr``.
        weight_decay: of the weights that do not turn, such as the classifier's.
        centralize: turning rows are to keep zero mean, as for :func:`cwn_lite.constrain`; ``None`` is what was said
            before of the layers, else yes.
        exclude: layers that are not to turn. This and the rest are as for :func:`cwn_lite.constrain`.
        include: layers to turn although they are taken for classifiers.
        classifier: the layers to be taken for classifiers.

    Returns:
        Groups that each hold parameters, in the order said above.

    Raises:
        TypeError, ValueError: a number out of range; a model of which no weight can be constrained, or others that
            :func:`cwn_lite.constrain` refuses.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), ScaleBias(8), nn.Flatten(), nn.Linear(8, 10))
        >>> [(len(g["params"]), g["turn"], g["lr"], g["weight_decay"]) for g in angular_groups(model, 0.02)]
        [(1, True, 0.02, 0.0), (1, False, 0.004, 0.05), (4, False, 0.004, 0.0)]
    """
    check_module("model", model)
    lr, rest = check_nonnegative("lr", lr), check_nonnegative("rest", rest)
    weight_decay = check_nonnegative("weight_decay", weight_decay)
    chosen = select(model, exclude=exclude, include=include, classifier=classifier).modules
    settings = settle(chosen.values(), c=1.0, centralize=centralize, spherize=True)
    check_directions(chosen, settings)
    turning: dict[tuple[bool, int, bool], list[Any]] = {}
    for module in chosen.values():
        stored = layout(module)
        # In a plain grouped convolution, rows of one group lie together, and each group is a matrix.
        groups = module.groups if isinstance(module, CONVOLUTIONS) else stored["groups"]
        turning.setdefault((stored["transposed"], groups, settings.centred(module)), []).append(module.weight)
    turns = {id(weight) for weights in turning.values() for weight in weights}
    others = param_groups(model, weight_decay)
    for group in others:
        group["params"] = [p for p in group["params"] if id(p) not in turns]
    alike = {"turn": True, "lr": lr, "weight_decay": 0.0}
    return [
        *({"params": p, "transposed": t, "groups": g, "centralize": m} | alike for (t, g, m), p in turning.items()),
        *(group | {"turn": False, "lr": lr * rest} for group in others if group["params"]),
    ]


def _without_decay(model: nn.Module) -> set[int]:
    """The ids of scales, of parameters of norms, and of biases."""
    free: set[int] = set()
    for module in model.modules():
        whole = isinstance(module, (ScaleBias, *_NORMS))
        own = module.named_parameters(recurse=False)
        free |= {id(p) for name, p in own if whole or name.endswith("bias") or name.startswith("bias")}
    return free


def check_group(group: dict[str, Any]) -> None:
    """Raise unless the values of a group of :class:`cwn_lite.AngularMuon` are what they should be."""
    lr = group["lr"]
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError(f"lr must hold one number, got a tensor of shape {tuple(lr.shape)}")
    check_nonnegative("lr", float(lr) if isinstance(lr, Tensor) else lr)
    if not isinstance(group["betas"], tuple | list) or len(group["betas"]) != 2:
        raise TypeError(f"betas must be two numbers, got {group['betas']!r}")
    for key in ("coherence_decay", "eps", "weight_decay"):
        check_nonnegative(key, group[key])
    for key, value in (("momentum", group["momentum"]), *(("each of betas", beta) for beta in group["betas"])):
        if check_nonnegative(key, value) >= 1:
            raise ValueError(f"{key} must be below 1, got {value}")
    for key in ("nesterov", "centralize", "turn", "transposed", "capturable"):
        check_bool(key, group[key])
    check_count("groups", group["groups"], 1)
    for key in EVERY:
        every = check_count(key, group[key], 1)
        if group["turn"] and group["capturable"] and every > 1:
            raise ValueError(
                f"{key}={every} with capturable: the steps of a captured graph are all alike, and only each {every}th "
                "would do this; choose one of the two"
            )
