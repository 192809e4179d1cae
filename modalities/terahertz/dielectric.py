"""How do water and skin answer to a terahertz wave, and what does a reflection say of them?

Waves go as exp(+i omega t), so absorption makes permittivity and index complex with a negative imaginary
part, as numpy's transform has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

LIGHT_UM_PS = 299.792458
"""Speed of light, micrometres a picosecond."""


@dataclass(frozen=True)
class Debye:
    """infinite + (static - second) / (1 + i omega slow) + (second - infinite) / (1 + i omega fast).

    Two relaxations. Permittivities relative, times in ps. For skin: E. Pickwell, B. E. Cole, A. J.
    Fitzgerald, V. P. Wallace, M. Pepper, "Simulation of terahertz pulse propagation in biological systems",
    Appl. Phys. Lett. 84 (2004) 2190.
    """

    infinite: float
    static: float
    second: float
    slow: float
    fast: float

    def permittivity(self, terahertz: npt.ArrayLike) -> Complex:
        """Complex relative permittivity at frequencies in THz."""
        omega = 2 * np.pi * np.asarray(terahertz, float)
        first = (self.static - self.second) / (1 + 1j * omega * self.slow)
        rest = (self.second - self.infinite) / (1 + 1j * omega * self.fast)
        return np.asarray(self.infinite + first + rest)

    def index(self, terahertz: npt.ArrayLike) -> Complex:
        """Complex refractive index at frequencies in THz."""
        return np.asarray(np.sqrt(self.permittivity(terahertz)))


def liquid_water(kelvin: float) -> Debye:
    """Pure water from 270 to 310 K, up to 1 THz.

    Source: H. J. Liebe, G. A. Hufford, T. Manabe, "A model for the complex permittivity of water at
    frequencies below 1 THz", Int. J. Infrared Millimeter Waves 12 (1991) 659.
    """
    theta = 1 - 300 / kelvin
    static = 77.66 - 103.3 * theta
    slow = 20.2e-3 + 146.4e-3 * theta + 316e-3 * theta**2
    rate = 2 * np.pi * slow
    return Debye(3.52 + 7.52 * theta, static, 0.0671 * static, 1 / rate, 1 / (39.8 * rate))


WATER = liquid_water(305.0)
"""At the temperature of the skin's surface, 32 degrees Celsius."""
SKIN = Debye(infinite=3.0, static=60.0, second=3.6, slow=10.0, fast=0.20)
"""Of Pickwell et al. 2004, as later work quotes it."""
DRY = 2.6
"""Permittivity of tissue without water, index 1.6: our choice, within what is reported for dried tissue and
protein; no absorption."""


def tissue(water: npt.ArrayLike, terahertz: npt.ArrayLike) -> Complex:
    """Complex index of dry tissue with a part `water` of its volume, shapes broadcast.

    The rule of Landau, Lifshitz and Looyenga: the cube roots of the permittivities add up by volume.
    """
    share = np.asarray(water, float)
    mixed = share * WATER.permittivity(terahertz) ** (1 / 3) + (1 - share) * DRY ** (1 / 3)
    return np.asarray(mixed**1.5)


def on_mirror(index: Complex) -> Complex:
    """Reflection of a half space of this index in air at normal incidence, over that of a mirror (-1)."""
    return np.asarray((index - 1) / (index + 1))


def index_of(ratio: Complex) -> Complex:
    """The inverse of `on_mirror`: complex index from the complex reflection over that of a mirror."""
    return np.asarray((1 + ratio) / (1 - ratio))


def absorption(index: Complex, terahertz: npt.ArrayLike) -> Array:
    """Absorption coefficient of intensity, 1/cm: 2 omega kappa / c."""
    omega = 2 * np.pi * np.asarray(terahertz, float)
    return np.asarray(-2 * omega * index.imag / LIGHT_UM_PS * 1e4)


def layered(upper: Complex, lower: Complex, thickness_um: npt.ArrayLike, terahertz: npt.ArrayLike) -> Complex:
    """Reflection, over that of a mirror, of a layer on a half space, with all echoes inside the layer."""
    omega = 2 * np.pi * np.asarray(terahertz, float)
    outer, inner = (1 - upper) / (1 + upper), (upper - lower) / (upper + lower)
    echo = inner * np.exp(-2j * omega * upper * np.asarray(thickness_um) / LIGHT_UM_PS)
    return np.asarray(-(outer + echo) / (1 + outer * echo))
