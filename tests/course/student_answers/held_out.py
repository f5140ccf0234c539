"""Wrong answers that were thought up after all hints had been written, and not before.

They measure what the hints are worth to a student whom nobody foresaw.  So nothing here is a reason
to add a hint: whoever wants one for such an answer moves the answer to its lecture's file.
"""

import math

import numpy as np
import torch


def inverse_factor(R):
    return torch.linalg.cholesky(torch.linalg.inv(R))


HELD_OUT = {
    "00.1": [lambda r: 2 * r / r**2, lambda r: math.sqrt(r), lambda r: 1 / r**3],
    "01.1": [
        lambda s, c, sigma_y: ((sigma_y / s[s > 0]) ** 2).sum(),
        lambda s, c, sigma_y: (sigma_y**2 / s[s > 0] ** 2).sum() - c[s == 0].sum(),
        lambda s, c, sigma_y: c.sum(),
    ],
    "01.2": [
        lambda H, y, R: (torch.linalg.inv(R) @ H, torch.linalg.inv(R) @ y),
        lambda H, y, R: (inverse_factor(R) @ H, inverse_factor(R) @ y),
    ],
    "01.3": [
        lambda C, bias, left: (2 * float(torch.linalg.eigvalsh(C)[-1]) * bias / (1 + bias), 3)
    ],
    "02.1": [
        lambda a, b: ((b / a) ** 0.5, (1 - b) / (1 - a) if a < 1 else 1 - b),
        lambda a, b: (b - a, 1 - b + a),
        lambda a, b: ((a * b) ** 0.5, 1 - a * b),
    ],
    "02.2": [
        lambda sigma: torch.cat([sigma[:1], (1 + sigma[:-1] ** 2) / (1 + sigma[1:] ** 2)]),
        lambda sigma: sigma**2,
    ],
    "02.3": [
        lambda m, c: c / m**2,
        lambda m, c: 1 / (m**2 + 1 - 2 * c),
        lambda m, c: (1 - c) / m**2,
    ],
    "03.1": [
        lambda V, a, b: b * V,
        lambda V, a, b: (1 - a) * b / (1 - a * (1 - b)) * V,
        lambda V, a, b: 1 / (1 / V + 1 / b),
    ],
    "03.2": [
        lambda a, b: (
            math.sqrt(a) * (1 - b / a) / (1 - b),
            math.sqrt(b / a) * (1 - a) / (1 - b),
            (1 - a) / (1 - b),
        ),
        lambda a, b: (a**0.5 * (1 - b / a), (b / a) ** 0.5 * (1 - a), (1 - a) * (1 - b / a)),
    ],
    "03.3": [
        lambda m, V, a: (a * V + 1 - a + a * m**2 - 1) / 2,
        lambda m, V, a: (a * V + 1 - a + m**2 - 1 - math.log(a * V + 1 - a)) / 2,
        lambda m, V, a: (a * V + 1 - a + a * m**2 - 1 - math.log2(a * V + 1 - a)) / 2,
    ],
    "04.1": [
        lambda sigma, sigma_next: 1 / sigma_next**2 - 1 / sigma**2,
        lambda sigma, sigma_next: 1 / (2 * sigma**2) - 1 / (2 * sigma_next**2),
        lambda sigma, sigma_next: (sigma - sigma_next) / (2 * sigma_next),
        lambda sigma, sigma_next: 1 / (sigma_next**2 - sigma**2),
    ],
    "04.2": [
        lambda x, sigma, v: (sigma * x + (1 + sigma**2) ** 0.5 * v) / (1 + sigma**2),
        lambda x, sigma, v: -(x + v) / (1 + sigma**2),
        lambda x, sigma, v: -(sigma * x + (1 + sigma**2) ** 0.5 * v) / (1 + sigma**2),
    ],
    "04.3": [
        lambda x, eps, a, b, eta, z: (
            b**0.5 * (x - (1 - a) ** 0.5 * eps) / a**0.5 + (1 - b) ** 0.5 * eps
        ),
        lambda x, eps, a, b, eta, z: b**0.5 * (x - (1 - a) * eps) / a**0.5 + (1 - b) ** 0.5 * eps,
    ],
    "05.1": [
        lambda r, length, sigma_y: sigma_y / (r * length**2),
        lambda r, length, sigma_y: r * length * sigma_y,
    ],
    "05.2": [
        lambda H, sigma_y: sigma_y * torch.linalg.pinv(H),
        lambda H, sigma_y: 2 * sigma_y**2 * torch.linalg.pinv(H) @ torch.linalg.pinv(H).T,
        lambda H, sigma_y: sigma_y**2 * H @ H.T,
    ],
    "05.3": [
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b - a1 * a2**2 * a3 * b / sigma_2**2,
        lambda a1, a2, a3, b, sigma_2: -a1 * a3 * b * (1 - a2**2 * b / sigma_2**2),
        lambda a1, a2, a3, b, sigma_2: a1 * a3 * b * (1 - a2**2 / sigma_2**2),
        lambda a1, a2, a3, b, sigma_2: a1 * a2 * a3 * b,
    ],
    "06.1": [
        lambda sigma, s, sigma_y: sigma * s,
        lambda sigma, s, sigma_y: s * sigma / sigma_y**2,
        lambda sigma, s, sigma_y: -s * sigma / sigma_y,
    ],
    "06.3": [
        lambda above, tau, eta, eta_b: eta * eta_b * tau / above,
        lambda above, tau, eta, eta_b: eta_b * (1 - eta**2) ** 0.5,
        lambda above, tau, eta, eta_b: eta_b**2 * (tau / above) ** 2 * (1 - eta**2),
    ],
    "07.1": [
        lambda sigma, b, eta_b, rho: sigma**2 + 2 * rho * b**0.5 * eta_b * sigma,
        lambda sigma, b, eta_b, rho: (
            sigma**2 + 2 * rho * eta_b * b**0.5 * (sigma**2 - eta_b**2 * b)
        ),
        lambda sigma, b, eta_b, rho: (1 - rho) * sigma**2,
    ],
    "07.3": [
        lambda s, t, b, kappa, y, x: (
            t**2 - y * b - x * s**2 - 2 * x * y * kappa,
            y * b + x * kappa,
        ),
        lambda s, t, b, kappa, y, x: (
            s**2 - y**2 * b - x**2 * t**2 - 2 * x * y * kappa,
            y * b + x * kappa,
        ),
        lambda s, t, b, kappa, y, x: (
            (t**2 - y**2 * b - x**2 * s**2 - 2 * x * y * kappa) ** 0.5,
            y * b + x * kappa,
        ),
    ],
    "08.2": [
        lambda error, n: n / 2 * (1 + math.log(2 * math.pi * error) - n),
        lambda error, n: n / 2 * math.log(2 * math.pi * math.e * error),
        lambda error, n: n / 2 * (1 + math.log(2 * math.pi * error**2 / n)),
    ],
    "08.3": [
        lambda case, eta, k: eta**2 if case == 2 else (1 - eta**2) ** (k / 2),
        lambda case, eta, k: (1 - eta**2) ** (k if case == 2 else k / 2),
        lambda case, eta, k: (1 - eta**2) ** (k / 2),
    ],
    "09.1": [
        lambda side: int(math.log2(side)),
        lambda side: int((2 * side) ** 0.25),
        lambda side: int(side**0.5) + 1,
    ],
    "10.1": [
        lambda v, k: v / k**2,
        lambda v, k: (v + v / k) / 2,
        lambda v, k: v * (1 + k) / k**2,
    ],
    "11.1": [
        lambda tau: (1 - (2 * tau - 1)) ** 0.5,
        lambda tau: 1 - (2 * tau - 1) ** 2,
        lambda tau: (1 - (tau - 1) ** 2) ** 0.5,
    ],
    "11.3": [
        lambda t, s, b, kappa, of_x: (t**2 - of_x**2 * s**2 - 2 * of_x * kappa) / b,
        lambda t, s, b, kappa, of_x: (
            ((of_x * kappa) ** 2 + b * (t**2 - (of_x * s) ** 2)) ** 0.5 / b
        ),
    ],
    "12.1": [
        lambda a, b, k, n: abs(a + b * np.exp(2j * np.pi * k)),
        lambda a, b, k, n: a**2 + b**2,
        lambda a, b, k, n: (a**2 + b**2 + 2 * a * b * math.cos(2 * math.pi * k)) ** 0.5,
    ],
    "13.1": [
        ("boundary", lambda s, sigma_T, sigma_y: sigma_T**2 + sigma_y**2 / s**2),
        ("start", lambda s, sigma_T, sigma_y: sigma_y**2 / s**2),
        ("start", lambda s, sigma_T, sigma_y: sigma_T**2 * (1 + sigma_y**2 / s**2)),
        ("start", lambda s, sigma_T, sigma_y: sigma_T**2 + sigma_y / s),
    ],
    "13.3": [
        ("inverse", lambda x, order: x.flip(1)),
        ("inverse", lambda x, order: x[:, -order]),
        ("inverse", lambda x, order: x[order]),
    ],
}
