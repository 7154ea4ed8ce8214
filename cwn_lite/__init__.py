"""Constrained Weight Optimization: train deep networks without activation normalization.

Weight rows of zero mean and fixed norm, kept there by projecting after each optimizer step; a learned scale and bias
in the place of batch norm; noise on that scale.

All defaults are the paper's. The recommended recipe adds what other networks need to train::

    model = cwn.replace_batchnorm(model, c=cwn.C_CENTERED, centralize="mixing")
    cwn.scale_branches(model)
    optimizer = cwn.AngularMuon(cwn.angular_groups(model, lr=0.015))
    constraint = cwn.constrain(optimizer, model)

Reference: Ikami, Irie, Shibata, *Constrained Weight Optimization for Learning without Activation Normalization*,
WACV 2021.
"""

from cwn_lite.angular import AngularMuon as AngularMuon
from cwn_lite.constrain import Constraint as Constraint
from cwn_lite.constrain import constrain as constrain
from cwn_lite.fast import project_ as project_
from cwn_lite.fold import fold as fold
from cwn_lite.fuse import fuse as fuse
from cwn_lite.fuse import unfuse as unfuse
from cwn_lite.gain import leaky_relu_c as leaky_relu_c
from cwn_lite.groups import angular_groups as angular_groups
from cwn_lite.groups import param_groups as param_groups
from cwn_lite.layers import ScaleBias as ScaleBias
from cwn_lite.layers import noise_schedule as noise_schedule
from cwn_lite.layers import set_noise as set_noise
from cwn_lite.orthogonal import orthogonalize as orthogonalize
from cwn_lite.projection import C_CENTERED as C_CENTERED
from cwn_lite.projection import C_HE as C_HE
from cwn_lite.projection import project_rows as project_rows
from cwn_lite.projection import projected_step as projected_step
from cwn_lite.report import LayerReport as LayerReport
from cwn_lite.report import Report as Report
from cwn_lite.report import report as report
from cwn_lite.rows import register_linear_map as register_linear_map
from cwn_lite.standardize import weight_standardization as weight_standardization
from cwn_lite.start import scale_branches as scale_branches
from cwn_lite.surgery import replace_batchnorm as replace_batchnorm
from cwn_lite.turning import turned as turned

__version__ = "0.1.0"

__all__ = [
    "C_CENTERED",
    "C_HE",
    "AngularMuon",
    "Constraint",
    "LayerReport",
    "Report",
    "ScaleBias",
    "angular_groups",
    "constrain",
    "fold",
    "fuse",
    "leaky_relu_c",
    "noise_schedule",
    "orthogonalize",
    "param_groups",
    "project_",
    "project_rows",
    "projected_step",
    "register_linear_map",
    "replace_batchnorm",
    "report",
    "scale_branches",
    "set_noise",
    "turned",
    "unfuse",
    "weight_standardization",
]
