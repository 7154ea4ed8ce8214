"""What chapters draw with: one style, inlined SVG, explorables, quizzes and the library's own source.

Imports the core and never the lab. Everything here is shown by a notebook cell and must stand on a static page:
no kernel, no network, readable in light and dark, with a text alternative.
"""

from cwn_lite.figures.batch_company import draw_batch_company as draw_batch_company
from cwn_lite.figures.batch_noise import draw_batch_noise as draw_batch_noise
from cwn_lite.figures.curves import curve_runs as curve_runs
from cwn_lite.figures.curves import curves as curves
from cwn_lite.figures.equilibrium import draw_equilibrium as draw_equilibrium
from cwn_lite.figures.explorable import explorable as explorable
from cwn_lite.figures.explorable import explorable_html as explorable_html
from cwn_lite.figures.explosion import explosion as explosion
from cwn_lite.figures.forest import Interval as Interval
from cwn_lite.figures.forest import draw_forest as draw_forest
from cwn_lite.figures.live import live as live
from cwn_lite.figures.panel import Dial as Dial
from cwn_lite.figures.panel import live_panel as live_panel
from cwn_lite.figures.point_cloud import draw_point_cloud as draw_point_cloud
from cwn_lite.figures.point_cloud import point_cloud_data as point_cloud_data
from cwn_lite.figures.quiz import Choice as Choice
from cwn_lite.figures.quiz import Question as Question
from cwn_lite.figures.quiz import quiz as quiz
from cwn_lite.figures.quiz import quiz_html as quiz_html
from cwn_lite.figures.residual_stream import draw_residual_stream as draw_residual_stream
from cwn_lite.figures.row_agreement import draw_row_agreement as draw_row_agreement
from cwn_lite.figures.row_rules import draw_row_rules as draw_row_rules
from cwn_lite.figures.seed_intervals import draw_seed_intervals as draw_seed_intervals
from cwn_lite.figures.seed_intervals import seed_intervals as seed_intervals
from cwn_lite.figures.show import show as show
from cwn_lite.figures.show import to_svg as to_svg
from cwn_lite.figures.signals import draw_signals as draw_signals
from cwn_lite.figures.source import markdown as markdown
from cwn_lite.figures.source import source as source
from cwn_lite.figures.sphere import sphere as sphere
from cwn_lite.figures.step_cost import draw_step_cost as draw_step_cost
from cwn_lite.figures.style import COLORS as COLORS
from cwn_lite.figures.style import DASHES as DASHES
from cwn_lite.figures.style import INK as INK
from cwn_lite.figures.style import LABELS as LABELS
from cwn_lite.figures.style import QUANTITIES as QUANTITIES
from cwn_lite.figures.style import ink_on as ink_on
from cwn_lite.figures.style import use_style as use_style
from cwn_lite.figures.training_grid import draw_training_grid as draw_training_grid
from cwn_lite.figures.training_grid import training_grid as training_grid
from cwn_lite.figures.weight_average import draw_weight_average as draw_weight_average

__all__ = [
    "COLORS",
    "DASHES",
    "INK",
    "LABELS",
    "QUANTITIES",
    "Choice",
    "Dial",
    "Interval",
    "Question",
    "curve_runs",
    "curves",
    "draw_batch_company",
    "draw_batch_noise",
    "draw_equilibrium",
    "draw_forest",
    "draw_point_cloud",
    "draw_residual_stream",
    "draw_row_agreement",
    "draw_row_rules",
    "draw_seed_intervals",
    "draw_signals",
    "draw_step_cost",
    "draw_training_grid",
    "draw_weight_average",
    "explorable",
    "explorable_html",
    "explosion",
    "ink_on",
    "live",
    "live_panel",
    "markdown",
    "point_cloud_data",
    "quiz",
    "quiz_html",
    "seed_intervals",
    "show",
    "source",
    "sphere",
    "to_svg",
    "training_grid",
    "use_style",
]
