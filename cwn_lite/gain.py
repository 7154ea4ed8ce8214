"""The squared length of weight rows that keeps the signal through a leaky ReLU (Eq. 3-4, for centred rows too)."""

import math

from cwn_lite.checks import check_bool, check_number


def leaky_relu_c(slope: float, centralize: bool = True) -> float:
    """Return the c with which rows of ``‖w‖² = c`` keep the variance through a leaky ReLU f of normal inputs.

    For z of mean 0 and variance 1, ``f(z) = max(z, a z)`` has the moments

    ``E[f²] = (1 + a²) / 2`` and ``E[f] = (1 - a) / √(2π)``,

    for half of ``E[z²] = 1`` lies on each side of 0, and ``E[max(z, 0)] = 1 / √(2π)``. A row w without constraint sees
    the second moment: over random w, ``E[(w · f)²] = ‖w‖² E[f²]``. A row with ``1ᵀ w = 0`` does not see the mean:
    ``E[(w · f)²] = ‖w‖² Var[f]`` for independent inputs. So c is one over the second moment, or over the variance. At
    slope 0 these are He's 2 and ``2π / (π - 1)``, at slope 1 both are 1.

    The c without centring is also the one that keeps the gradient on its way back, whether rows are centred or not.

    Args:
        slope: a, of the negative side; 0 is ReLU, 1 no activation at all.
        centralize: whether the rows have mean 0.

    Raises:
        TypeError, ValueError: the slope is no finite number, or ``centralize`` neither True nor False.

    Example:
        >>> round(leaky_relu_c(0.2), 3), round(leaky_relu_c(0.2, centralize=False), 3)
        (2.392, 1.923)

    Reference: He et al., Delving deep into rectifiers, ICCV 2015, Eq. 15, for the rows without constraint.
    """
    slope = check_number("slope", slope)
    second = (1 + slope**2) / 2
    mean = (1 - slope) / math.sqrt(2 * math.pi)
    return 1 / (second - mean**2 if check_bool("centralize", centralize) else second)
