"""The ledger C01-C22 as data: statement, hypotheses, source, family, law, controls."""

from __future__ import annotations

from ddfm_theory.ledger import laws_experts as experts
from ddfm_theory.ledger import laws_information as information
from ddfm_theory.ledger import laws_mixtures as mixtures
from ddfm_theory.ledger import laws_parallel as parallel
from ddfm_theory.ledger import laws_paths as paths
from ddfm_theory.ledger import laws_routing as routing
from ddfm_theory.ledger import laws_stability as stability
from ddfm_theory.ledger import laws_steps as steps
from ddfm_theory.ledger import laws_table as tables
from ddfm_theory.ledger.records import Claim

GAT = "Gat et al., Discrete Flow Matching, NeurIPS 2024, arXiv 2407.15595"
MASCHAN = "Maschan, Qu, Liu, Decentralized Autoregressive Generation, arXiv 2601.03184"
MCALLISTER = "McAllister et al., Decentralized Diffusion Models, arXiv 2501.05450"
BTM = "Li et al., Branch-Train-Merge, arXiv 2208.03306"
HERE = "derived in this project"

CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        Claim(
            "C01", "a convex schedule gives a pmf path with the right ends",
            r"\sum_j \kappa_t^{i,j} = 1,\ \kappa_t^{i,j} \ge 0 \implies p_t \ge 0,\ \sum_x p_t(x) = 1,\ p_0 = p,\ p_1 = q",
            "convex weights at every position; kappa_0 and kappa_1 at the end points", f"{GAT}",
            paths.family_path, paths.law_path, paths.CONTROLS_C01,
        ),
        Claim(
            "C02", "convex-sum velocity, continuous time",
            r"u(x,z) = \sum_j a^j w^j(x) + b\,\delta_z(x),\ a^j = \dot\kappa^j - \kappa^j \dot\kappa^\ell/\kappa^\ell,\ "
            r"b = \dot\kappa^\ell/\kappa^\ell,\ \ell = \arg\min_{\kappa^j > 0} \dot\kappa^j/\kappa^j",
            "t in [0, 1), right derivatives; every pivot generates, the arg min makes the rates nonnegative", f"{GAT}, Theorem 3",
            paths.family_conditional, paths.law_conditional, paths.CONTROLS_C02,
        ),
        Claim(
            "C03", "the posterior average generates the marginal path",
            r"u_t(x,z) = \sum_{x_0,x_1} u_t(x,z \mid x_0,x_1)\, p_t(z \mid x_0,x_1)\,\pi(x_0,x_1)/p_t(z) \implies "
            r"\dot p_t + \mathrm{div}(p_t u_t) = 0",
            "continuous time; p_t(z) > 0 wherever the velocity is used", f"{GAT}, Theorem 2",
            paths.family_marginal, paths.law_marginal, paths.CONTROLS_C03,
        ),
        Claim(
            "C04", "convex-sum velocity, discrete time",
            r"a^j = \kappa'^j - \kappa^j \kappa'^\ell/\kappa^\ell,\ b = \kappa'^\ell/\kappa^\ell - 1: \quad "
            r"X' \sim \delta_z + u \text{ is exact}",
            "the conditional path at any N, the marginal path at N = 1", f"{GAT}, Theorem 3 with increments; {HERE}",
            paths.family_steps, paths.law_steps, paths.CONTROLS_C04,
        ),
        Claim(
            "C05", "steps of whole states",
            r"\text{at most one mover} \implies p_{t+1} = \text{sampler}(p_t);\quad TV \le \sum_{i<j} \Delta\kappa^i \Delta\kappa^j",
            "one mover at each state; masked source: exact iff the hidden movers are independent given the revealed tokens", HERE,
            steps.family_states, steps.law_states, steps.CONTROLS_C05,
        ),
        Claim(
            "C06", "autoregression is the degenerate schedule",
            r"\kappa_t^i = 1[t \ge i] \implies u_t^i(\cdot,z) = 1[i = t+1]\big(q(\cdot \mid z^{\le t}) - \delta_m\big)",
            "all-mask source, reachable states, any order of positions", f"{MASCHAN}",
            steps.family_autoregression, steps.law_autoregression, steps.CONTROLS_C06,
        ),
        Claim(
            "C07", "the flow-matching loss is the next-token loss",
            r"\sum_t \sum_i \tfrac{\kappa'^i - \kappa^i}{1 - \kappa^i}\, E[-\log \hat q(x^i \mid z)] = "
            r"\sum_t E[-\log \hat q(x^{t+1} \mid x^{\le t})] \ge H(q)",
            "the autoregressive schedule; the sum is over moving positions", f"{MASCHAN}; {HERE}",
            information.family_loss, information.law_loss, information.CONTROLS_C07,
        ),
        Claim(
            "C08", "decentralization",
            r"u_t^i(x,z) = \sum_k r_k(z)\, u_t^{k,i}(x,z),\quad r_k(z) = \omega_k p_t^k(z)/p_t(z)",
            "one schedule and the same base pmfs for all experts; disjoint or overlapping; both times", f"{MASCHAN}; {MCALLISTER}",
            experts.family_decentralization, experts.law_decentralization, experts.CONTROLS_C08,
        ),
        Claim(
            "C09", "when static weights suffice",
            r"\sum_k \omega_k u_t^k = u_t \iff \sum_k (r_k(z) - \omega_k)\, u_t^k(\cdot,z) = 0",
            "all p_t^k(z) > 0; always if I(K; X_t) = 0, only if r = omega for affinely independent velocities", HERE,
            experts.family_static, experts.law_static, experts.CONTROLS_C09,
        ),
        Claim(
            "C10", "the autoregressive router is a Bayes filter",
            r"r_k(z^{\le t+1}) \propto r_k(z^{\le t})\, q_k(z^{t+1} \mid z^{\le t}, c),\quad r_k(\emptyset) = P(k \mid c)",
            "the prior P(k | c) and the experts' own likelihoods", f"{BTM}; {HERE}",
            experts.family_filter, experts.law_filter, experts.CONTROLS_C10,
        ),
        Claim(
            "C11", "a determined expert makes top-1 exact",
            r"k = a(c) \implies r_k(z \mid c) = 1[k = a(c)]",
            "the expert is a function of the condition, by one rule in training and inference", f"{MASCHAN}; {HERE}",
            routing.family_determined, routing.law_determined, routing.CONTROLS_C11,
        ),
        Claim(
            "C12", "the decentralized objective",
            r"H(X) = \sum_k \omega_k H(X \mid k) + I(X;K),\quad -\log q(x) = -\log q_k(x) + \log(r_k(x)/\omega_k)",
            "at a prefix the weights are r_k(prefix); a learned router is worth H(K) - CE(router)", HERE,
            information.family_objective, information.law_objective, information.CONTROLS_C12,
        ),
        Claim(
            "C13", "routing once equals mixing",
            r"K \sim \omega,\ X \sim p^K \quad\text{has the law of}\quad \sum_k r_k(z) u^k(\cdot,z)",
            "at most one mover per state; for a masked source the path laws agree too", f"{MASCHAN}; {HERE}",
            routing.family_once, routing.law_once, routing.CONTROLS_C13,
        ),
        Claim(
            "C14", "stability",
            r"TV \le TV(r,\hat r) + \sum_k r_k TV(p_k,\hat p_k),\quad KL \le KL(r\|\hat r) + \sum_k r_k KL(p_k\|\hat p_k)",
            "finite divergences; sequences: TV <= sum_t E TV_t under q or q^, KL = sum_t E_q KL_t", HERE,
            stability.family_stability, stability.law_stability, stability.CONTROLS_C14,
        ),
        Claim(
            "C15", "top-k routing",
            r"TV\big(\textstyle\sum_k r_k p_k, \text{top-}k\big) = (1-s)\,TV(\text{kept},\text{dropped}) \le 1 - s",
            "s is the kept mass, weights renormalized; the bound is attained iff the supports are disjoint", HERE,
            stability.family_top_k, stability.law_top_k, stability.CONTROLS_C15,
        ),
        Claim(
            "C16", "sharpening and mixing",
            r"S_T\big(\textstyle\sum_k r_k p_k\big) = \sum_k r_k S_T(p_k)\ \text{at}\ T = 1,\ \text{for one-hot}\ r,\ \text{for identical experts}",
            "T != 1: for all experts iff r is one-hot; greedy where experts share the arg max", HERE,
            mixtures.family_sharpening, mixtures.law_sharpening, mixtures.CONTROLS_C16,
        ),
        Claim(
            "C17", "averaging parameters",
            r"u\big(\textstyle\sum_k w_k \theta_k\big) = \sum_k w_k u(\theta_k)\ \text{for}\ u\ \text{affine in}\ \theta,\ \sum_k w_k = 1",
            "u affine in the parameters at each state: probabilities, not logits", HERE,
            mixtures.family_averaging, mixtures.law_averaging, mixtures.CONTROLS_C17,
        ),
        Claim(
            "C18", "backward velocity and corrector",
            r"\alpha u_t - \beta \tilde u_t\ \text{generates}\ p_t,\quad \alpha - \beta = 1,\ \alpha,\beta \ge 0",
            "t in (0, 1), no weight that rises from zero; in discrete time beta limited by the diagonal", f"{GAT}",
            paths.family_corrector, paths.law_corrector, paths.CONTROLS_C18,
        ),
        Claim(
            "C19", "the negative ELBO is the entropy",
            r"\int_0^1 \sum_i \tfrac{\dot\kappa^i}{1-\kappa^i}\, E\big[1[z^i = m](-\log q(x^i \mid z))\big] dt = H(q)",
            "masked path, perfect posterior, every absolutely continuous kappa from 0 to 1; jumps one position at a time", HERE,
            information.family_elbo, information.law_elbo, information.CONTROLS_C19,
        ),
        Claim(
            "C20", "from parallel to autoregressive",
            r"w = 0,\ N \mid T: \text{exact};\quad TV \le \sum_{\text{steps}} \sum_{i<j} \Delta\kappa^i \Delta\kappa^j;\quad "
            r"N = 2:\ TV = \big(\textstyle\sum \Delta\kappa^1 \Delta\kappa^2\big) TV(q, q^1 \times q^2)",
            "masked source, windowed schedule of overlap w, T equal steps", HERE,
            parallel.family_windows, parallel.law_windows, parallel.CONTROLS_C20,
        ),
        Claim(
            "C21", "mixing velocities and mixing kernels",
            r"\textstyle\sum_k r_k \prod_i K_k^i - \prod_i \sum_k r_k K_k^i = \mathrm{Cov}_r(K^1, K^2)\quad (N = 2)",
            "one law where at most one position moves; d = 2, K = 2: TV = 2 |r_1 r_2 Dp^1 Dp^2|", HERE,
            parallel.family_kernels, parallel.law_kernels, parallel.CONTROLS_C21,
        ),
        Claim(
            "C22", "one table serves all",
            r"p_t(z) = S(z) \prod_i (\kappa^i\ \text{or}\ 1-\kappa^i),\quad r_k(z) = \omega_k S_k(z)/S(z)",
            "masked source, m outside supp q, experts with one schedule", HERE,
            tables.family_table, tables.law_table, tables.CONTROLS_C22,
        ),
    )
}  # fmt: skip
