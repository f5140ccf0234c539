"""Figures of the lectures; everything here draws, nothing computes."""

from .cases import *
from .denoising import *
from .gaps import *
from .images import *
from .inverse_problems import *
from .lab import *
from .noising import *
from .paths import *
from .restorations import *
from .spectral import *
from .structures import *
from .style import *
from .theorem import *
from .weights import *
