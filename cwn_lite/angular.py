"""An optimizer whose rate on weight matrices is an angle: orthogonalized momentum there, AdamW for the rest."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw

from cwn_lite.capture import make_capturable, make_uncapturable
from cwn_lite.checks import check_real_dense
from cwn_lite.groups import check_group
from cwn_lite.holding import EVERY, Due, Held, are_alike, count, orthogonalize_and_hold, orthogonalize_as_held
from cwn_lite.orthogonal import orthogonalize
from cwn_lite.rows import Layout, copy_rows_, local_part, row_length, to_rows
from cwn_lite.sharded import copy_whole_, gathered, whole
from cwn_lite.turning import Tangent, are_usable, largest_of, pull

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class AngularMuon(Optimizer):
    """Turn weight rows by an angle per step, against orthogonalized momentum; step all else by AdamW.

    A group with ``turn=True`` holds weights of layers. Each is the matrix of its rows, ``(out, fan-in)``, or one such
    matrix for each group of a grouped convolution, and takes the step of :func:`cwn_lite.turned` against the Nesterov
    momentum of its gradient: ``lr`` is the angle in radians by which rows turn, in the mean square and where that
    momentum has full rank, whatever the size of gradients and weights. All other groups take the step of
    :class:`torch.optim.AdamW`. :func:`cwn_lite.angular_groups` makes the groups of a model. The step leaves the
    constraint set; :func:`cwn_lite.constrain` takes weights back.

    State dicts, gradient scaling, DistributedDataParallel and schedulers that multiply rates work as with any
    optimizer of torch. Schedulers that set one rate for all, such as OneCycleLR, want ``max_lr=[group["lr"] for group
    in optimizer.param_groups]``, since the groups have rates of their own; of the momenta such a scheduler cycles
    AdamW's alone. Under FSDP2 an orthogonalization needs the whole matrix: weight and momentum are gathered, two
    collectives per weight, every process computes the same step and keeps its rows. A row whose gradient is zero or
    non-finite stays where it is, with its momentum decayed. The host never waits for a GPU, on which the products of
    the orthogonalization are in bfloat16.

    Most of a step's time goes into these products where layers are wide and images small. The pull is nearly half of
    them, and changes little from step to step: with ``coherence_decay_every`` that of several steps is taken at once.
    The book measures no loss on small networks, and perhaps a point on a wide one. ``orthogonalize_every`` saves most
    of the others and does cost accuracy: what orthogonalizes, the inverse root of a momentum's Gram matrix, is
    computed in each so many steps of a weight, the first included, and held in between. It is in float32 or better on
    every device. States grow by a square matrix of the short side of each weight; with FSDP2 each process holds it
    whole. A state goes on in an optimizer with as many steps; a full state of FSDP2 fits no other.

    A step that orthogonalizes is some hundred calls for each shape of weight, for which a fast GPU waits. With
    ``capturable`` it can be captured as a CUDA graph, alone or with the whole training step, and is one call then.
    Rates become tensors on the GPU: a graph follows what schedulers, or ``fill_``, write into them. Momenta stay those
    of the recording. Without a graph, the two ways to do less spare most of these calls.

    Args:
        params: parameters or groups. Keys of a group besides those below: ``transposed`` and ``groups``, how the
            weights of a turning group are stored, as for :func:`cwn_lite.project_`.
        lr: angle in radians of turning groups, rate of AdamW in the others.
        momentum: of turning groups, in [0, 1).
        nesterov: look ahead by one step of momentum.
        coherence_decay: strength of the pull that keeps the rows of a weight from agreeing. It shrinks them, too, and
            counts on :func:`cwn_lite.constrain`: 0 where nothing projects, as in a network with its batch norms.
        coherence_decay_every: take the pull in each so many steps of a weight, so many times as strong; 1 is each
            step. A row without a gradient in such a step misses it. More excludes ``capturable``.
        centralize: rows of turning groups are to keep zero mean.
        orthogonalize_every: orthogonalize anew in each so many steps of a weight; 1 is each step. More excludes
            ``capturable``.
        turn: default of the key; without groups, whether all parameters turn.
        betas: of AdamW.
        eps: of AdamW.
        weight_decay: of AdamW; turning rows have a norm that the constraint keeps.
        capturable: whether the step may be captured as a CUDA graph. The parameters lie on their GPU already.

    Raises:
        TypeError: a value of another kind, or a parameter to turn that is complex or sparse.
        ValueError: a value out of range, a parameter to turn with fewer than two axes or with rows of one number, or
            ``capturable`` for a parameter that is not on a GPU.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> weight = torch.nn.Parameter(torch.randn(8, 16))
        >>> optimizer = AngularMuon([weight], lr=0.1, coherence_decay=0.0, centralize=False)
        >>> before = weight.detach().clone()
        >>> weight.square().sum().mul(0.5).add(weight[:, 0].sum()).backward(); optimizer.step()
        >>> turn = (weight.detach() - before).norm() / before.norm()
        >>> round(float(turn), 3)
        0.1

    Reference: Jordan et al., Muon, 2024; Loshchilov and Hutter, AdamW, ICLR 2019.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 0.015,
        *,
        momentum: float = 0.9,
        nesterov: bool = True,
        coherence_decay: float = 1.0,
        coherence_decay_every: int = 1,
        centralize: bool = True,
        orthogonalize_every: int = 1,
        turn: bool = True,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "coherence_decay": coherence_decay,
            "coherence_decay_every": coherence_decay_every,
            "centralize": centralize,
            "orthogonalize_every": orthogonalize_every,
            "turn": turn,
            "transposed": False,
            "groups": 1,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "capturable": capturable,
        }
        check_group(defaults)
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as torch's optimizers do, once its values and parameters were checked."""
        group = self.defaults | param_group
        check_group(group)
        held = param_group.get("params", set())
        if group["turn"] and not isinstance(held, set):  # torch refuses a set, and a group without the key
            held = [held] if isinstance(held, Tensor) else list(held)
            for each in held:
                parameter = each[1] if isinstance(each, tuple) else each
                check_real_dense("a parameter to turn", parameter)
                if parameter.ndim < 2:
                    shape = tuple(parameter.shape)
                    raise ValueError(
                        f"a parameter to turn has shape {shape}, which has no rows; put it into a group with turn=False"
                    )
                if parameter.shape[0] % group["groups"]:
                    shape = tuple(parameter.shape)
                    raise ValueError(f"groups is {group['groups']}, which does not divide axis 0 of a weight {shape}")
                if parameter.numel() and row_length(parameter, group["transposed"], group["groups"]) < 2:
                    shape = tuple(parameter.shape)
                    raise ValueError(
                        f"a parameter to turn has shape {shape}, rows of one number, which have no direction to turn "
                        "to; put it into a group with turn=False"
                    )
            param_group = param_group | {"params": held}
        super().add_param_group(param_group)
        try:
            make_capturable(self.param_groups[-1])
        except ValueError:
            self.param_groups.pop()
            raise

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state in, that of an optimizer without turning groups included: its parameters do not turn."""
        super().__setstate__(state)
        for group in self.param_groups:
            for key, value in self.defaults.items():
                group.setdefault(key, False if key == "turn" else value)
            group["capturable"] = group["capturable"] and all(p.is_cuda for p in group["params"])
            make_capturable(group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state, as torch's optimizers do.

        Whether steps may be captured is not taken from it, since it may be of another machine. What was captured before
        knows nothing of the rates in it: capture anew.

        Args:
            state_dict: what ``state_dict()`` returned.
        """
        groups = state_dict["param_groups"]
        if len(groups) == len(self.param_groups):  # else torch has its say
            mine = [group["capturable"] for group in self.param_groups]
            # Steps that are captured are all alike.
            groups = [
                group | ({"capturable": True, **dict.fromkeys(EVERY, 1)} if own else {"capturable": False})
                for group, own in zip(groups, mine, strict=True)
            ]
        super().load_state_dict(state_dict | {"param_groups": groups})
        for group in self.param_groups:
            if not group["capturable"]:
                make_uncapturable(group, self.state)

    @overload
    def step(self, closure: None = ...) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step.

        Args:
            closure: evaluates the model again and returns the loss.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moving = [[p for p in group["params"] if p.grad is not None and p.numel()] for group in self.param_groups]
        if any(p.grad.layout != torch.strided for held in moving for p in held if p.grad is not None):
            raise RuntimeError("AngularMuon takes no sparse gradients; build the embedding with sparse=False")
        self._check_capture()
        # Once and before all loops: torch's compiler cannot look into it, and goes on behind it.
        due = None if all(map(are_alike, self.param_groups)) else self._due(moving)
        for i, (held, group) in enumerate(zip(moving, self.param_groups, strict=True)):
            if group["turn"]:
                self._turn(held, group, due[i] if due else [Due()] * len(held))
            else:
                self._adapt(held, group)
        return loss

    def _check_capture(self) -> None:
        """Refuse to be captured where a graph would go on with the rates and counts of its first step."""
        alike = all(group["capturable"] and are_alike(group) for group in self.param_groups)
        if alike or torch.compiler.is_compiling():
            return
        on_gpu = any(p.is_cuda for group in self.param_groups for p in group["params"])
        if on_gpu and torch.cuda.is_current_stream_capturing():
            raise RuntimeError(
                "this step cannot be captured as a CUDA graph; build AngularMuon with capturable=True and without "
                f"{' and '.join(EVERY)}"
            )

    def _turn(self, weights: list[Tensor], group: dict[str, Any], due: list[Due]) -> None:
        """Turn weights; those of one shape together, as far as as much is due."""
        stored: Layout = {"transposed": group["transposed"], "groups": group["groups"]}
        alike: dict[tuple[Any, ...], list[Tensor]] = defaultdict(list)
        for weight, own in zip(weights, due, strict=True):
            alike[own, weight.shape, weight.dtype, weight.device, hasattr(weight, "placements")].append(weight)
        for (own, *_), same in alike.items():
            split = (group["groups"], -1)  # each group of a grouped convolution is a matrix of its own
            directions, moved = (part.unflatten(1, split) for part in self._directions(same, group, stored))
            rows = torch.stack([to_rows(whole(weight), **stored) for weight in same]).unflatten(1, split)
            with torch.autocast(rows.device.type, enabled=False):
                of = Tangent.of(rows, directions, moved, group["centralize"])
                orthogonal = self._orthogonal(same, of, group, own.anew)
                pulls = group["coherence_decay"] and own.pulls
                pulled = pull(rows, group["lr"], group["coherence_decay"], own.pulls) if pulls else None
                turns = of.step(orthogonal, pulled)
                new = (rows - group["lr"] * turns).flatten(1, 2)
            for weight, mine in zip(same, new, strict=True):
                copy_whole_(weight, mine, **stored)

    def _due(self, moving: list[list[Tensor]]) -> list[list[Due]]:
        """Return for each weight of each group what is due in this step, and count its steps."""
        return [
            [count(self.state[weight], group, weight.dtype) for weight in weights]
            if group["turn"] and not are_alike(group)
            else [Due()] * len(weights)
            for weights, group in zip(moving, self.param_groups, strict=True)
        ]

    def _orthogonal(self, weights: list[Tensor], of: Tangent, group: dict[str, Any], anew: bool) -> Tensor:
        """Return the orthogonalized directions of weights of one shape, ``(k, groups, out / groups, n)``."""
        states = [self.state[weight] for weight in weights]
        if group["orthogonalize_every"] == 1:
            for state in states:
                if "inverse_root" in state:  # of another time, when some steps held it
                    del state["inverse_root"], state["size"]
            return orthogonalize(of.direction, dtype=torch.bfloat16 if of.direction.is_cuda else None)
        if not anew:
            root, size = (torch.stack([state[key] for state in states]) for key in ("inverse_root", "size"))
            return orthogonalize_as_held(of, Held(root, size))
        orthogonal, held = orthogonalize_and_hold(of)
        for i, state in enumerate(states):
            # Copies, not views that would keep the others alive.
            state |= {"inverse_root": held.inverse_root[i].clone(), "size": held.size[i].clone()}
        return orthogonal

    def _directions(self, weights: list[Tensor], group: dict[str, Any], stored: Layout) -> tuple[Tensor, Tensor]:
        """Return the momenta of weights of one shape, ``(k, rows, n)``, and which rows have a usable gradient."""
        buffers = []
        for weight in weights:
            state = self.state[weight]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(weight, memory_format=torch.preserve_format)
            buffers.append(local_part(state["momentum_buffer"], transposed=stored["transposed"]))
        parts = [local_part(w.grad, transposed=stored["transposed"]) for w in weights if w.grad is not None]
        grads = torch.stack([to_rows(part, **stored) for part in parts])
        moved = are_usable(grads)
        grads = torch.where(moved, grads, 0.0)
        momenta = torch.stack([to_rows(buffer, **stored) for buffer in buffers]).mul_(group["momentum"]).add_(grads)
        # A sum that overflowed would stay infinite: its row begins anew.
        momenta = torch.where(largest_of(momenta).isfinite(), momenta, grads)
        for buffer, momentum in zip(buffers, momenta, strict=True):
            copy_rows_(buffer, momentum, **stored)
        if group["nesterov"]:
            momenta = momenta.mul_(group["momentum"]).add_(grads)
        if hasattr(weights[0], "placements"):
            parts = list(torch.where(moved, momenta, 0.0))
            momenta = torch.stack([gathered(w, part, stored) for w, part in zip(weights, parts, strict=True)])
            moved = are_usable(momenta)
        return momenta, moved

    def _adapt(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Let torch's AdamW step."""
        for parameter in parameters:
            state = self.state[parameter]
            if "exp_avg" not in state:
                device = parameter.device if group["capturable"] else "cpu"
                state["step"] = torch.zeros((), dtype=torch.float32, device=device)
                state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
            capturable=group["capturable"],
        )
