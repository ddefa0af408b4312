(* The definitions; and every theorem: its statement, and the axioms it rests
   on (none).

   statements.txt is the output of the Print and Check lines, so that a changed
   definition or a weakened theorem shows as a difference; each Print
   Assumptions must answer "Closed under the global context".                *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization.
From Ddfm Require Import Continuous Masked Autoregression MaskedStep Filter.
From Ddfm Require Import Ensemble Stability Lazy MaskedRate TopK Product.
From Ddfm Require Import Corrector TwoBits Averaging CounterexamplesToken.
From Ddfm Require Import CounterexamplesUniform Counterexamples CounterexamplesChain.
From Ddfm Require Import Windows Parallel TwoPositions Independent Logarithm.
From Ddfm Require Import ThreeBases ExactStep Losses Elbo Jumps.
From Ddfm Require Import TwoSequences Decoding CounterexamplesOverlap.
From Ddfm Require Import CounterexamplesWindow CounterexamplesMasked.
From Ddfm Require Import CounterexamplesRate CounterexamplesDecoding.
From Ddfm Require Import CounterexamplesLog.

Unset Printing Implicit Defensive.
Set Printing Width 100.
Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* Definitions *)
Print upd.
Print agree_off.
Print pair2.
Print is_pmf.
Print push.
Print run.
Print rate_conditions.
Print step_conditions.
Print divergence.
Print step_continuity.
Print continuity.
Print step_kernel.
Print samples.
Print moves.
Print at_most_one_mover.
Print marginal_path.
Print posterior.
Print marginal_velocity.
Print product_path.
Print local_velocity.
Print convex_token.
Print convex_path.
Print convex_velocity.
Print convex_step_velocity.
Print is_schedule.
Print is_base.
Print mixture.
Print router.
Print mixed_velocity.
Print cluster_weight.
Print cluster_coupling.
Print instant.
Print generates.
Print convex_curve.
Print marginal_curve.
Print at_time.
Print all_mask.
Print reveal_all.
Print masked_schedule.
Print masked_base.
Print masked_path.
Print masked_velocity.
Print agrees.
Print revealed_mass.
Print schedule_weight.
Print next_token.
Print unit_interval.
Print masked_increment.
Print masked_curve.
Print masked_rate.
Print data_law.
Print mask_law.
Print masked_step.
Print masked_chain.
Print revealing_schedule.
Print one_position_a_step.
Print order_schedule.
Print prefix.
Print first_order.
Print remainder.
Print position_weight.
Print bayes_update.
Print bayes_filter.
Print next_likelihood.
Print conditional_coupling.
Print expert_weight.
Print expert_coupling.
Print path_law.
Print reveal_factor.
Print TV.
Print autoregressive_kernel.
Print pairs.
Print stay_token.
Print lazy_token.
Print lazy_kernel.
Print second_order.
Print first_part.
Print reveal_rate.
Print reveal_at.
Print data_token.
Print kept_mass.
Print kept.
Print dropped.
Print token_kernel.
Print covariance.
Print mixed_at.
Print corrector.
Print opposite.
Print affinely_independent.
Print sharpen.
Print certain_but.
Print affine_in.
Print average.
Print clip.
Print width.
Print windowed.
Print windowed_run.
Print masked_kernel.
Print constant.
Print changed.
Print two_sequences.
Print token_law.
Print independent.
Print mutually_independent.
Print hidden_mover.
Print given.
Print additive_on_products.
Print logarithm.
Print entropy.
Print KL.
Print below.
Print masked_loss.
Print show.
Print places_weight.
Print shown_before.
Print token_cost.
Print token_posterior.
Print mean_over_places.
Print growth.
Print other_weight.
Print places_entropy.
Print mean_entropy.
Print mean_curve.
Print windowed_defect.
Print fraction.
Print biased_coin.
Print sure.
Print unsure.
Print twin_bits.
Print three_schedule.
Print three_base.
Print three_path.
Print spending_step.
Print redrawn.
Print before.
Print likeliest.
Print greedy.
Print in_nucleus.
Print nucleus.
Print even.
Print coin.
Print law_of.
Print pair_of.
Print coins.
Print spent_law.
Print spent_defect.
Print lean_twins.
Print uniform_base2.
Print uniform_path2.
Print last_step.
Print last_defect.
Print together.
Print zeros3.
Print first_two.
Print pair_of_three.
Print overlap_defect.

(* Velocity.v *)
Check C04_step_kernel_is_pmf.
Print Assumptions C04_step_kernel_is_pmf.
Check C05_one_mover_first_order.
Print Assumptions C05_one_mover_first_order.
Check C05_sampler_exact_iff_continuity.
Print Assumptions C05_sampler_exact_iff_continuity.

(* Marginal.v *)
Check C03_rate_conditions.
Print Assumptions C03_rate_conditions.
Check C03_step_conditions.
Print Assumptions C03_step_conditions.
Check C03_marginalization_step.
Print Assumptions C03_marginalization_step.
Check C05_marginal_sampler_exact.
Print Assumptions C05_marginal_sampler_exact.
Check C03_marginalization_chain.
Print Assumptions C03_marginalization_chain.
Check C04_marginal_exact_one_token.
Print Assumptions C04_marginal_exact_one_token.

(* Paths.v *)
Check C01_convex_path_is_pmf.
Print Assumptions C01_convex_path_is_pmf.
Check C01_convex_path_endpoint.
Print Assumptions C01_convex_path_endpoint.
Check C04_convex_step_samples.
Print Assumptions C04_convex_step_samples.
Check C02_argmin_rate_conditions.
Print Assumptions C02_argmin_rate_conditions.
Check C02_ties.
Print Assumptions C02_ties.
Check C04_argmin_step_conditions.
Print Assumptions C04_argmin_step_conditions.
Check C01_marginal_path_is_pmf.
Print Assumptions C01_marginal_path_is_pmf.
Check C01_marginal_start.
Print Assumptions C01_marginal_start.
Check C01_marginal_end.
Print Assumptions C01_marginal_end.

(* Decentralization.v *)
Check C08_router_is_pmf.
Print Assumptions C08_router_is_pmf.
Check C08_clusters.
Print Assumptions C08_clusters.
Check C08_disjoint_clusters.
Print Assumptions C08_disjoint_clusters.
Check C08_central_path.
Print Assumptions C08_central_path.
Check C08_decentralization_velocity.
Print Assumptions C08_decentralization_velocity.
Check C08_decentralization_step.
Print Assumptions C08_decentralization_step.
Check C08_decentralization_discrete.
Print Assumptions C08_decentralization_discrete.
Check C08_decentralization_chain.
Print Assumptions C08_decentralization_chain.

(* Continuous.v *)
Check C02_convex_velocity_generates.
Print Assumptions C02_convex_velocity_generates.
Check C03_marginalization_continuous.
Print Assumptions C03_marginalization_continuous.
Check C08_decentralization_continuous.
Print Assumptions C08_decentralization_continuous.
Check C03_marginalization_polynomial.
Print Assumptions C03_marginalization_polynomial.
Check C02_convex_velocity_generates_polynomial.
Print Assumptions C02_convex_velocity_generates_polynomial.
Check C03_convex_marginal_generates_polynomial.
Print Assumptions C03_convex_marginal_generates_polynomial.

(* Masked.v *)
Check C22_path_factorization.
Print Assumptions C22_path_factorization.
Check C22_posterior.
Print Assumptions C22_posterior.
Check C22_hidden_token.
Print Assumptions C22_hidden_token.
Check C22_router.
Print Assumptions C22_router.
Check C22_router_independent_of_schedule.
Print Assumptions C22_router_independent_of_schedule.
Check C04_masked_velocity_is_convex_step.
Print Assumptions C04_masked_velocity_is_convex_step.
Check C18_masked_backward_velocity.
Print Assumptions C18_masked_backward_velocity.
Check C04_masked_step_samples.
Print Assumptions C04_masked_step_samples.
Check C04_masked_step_conditions.
Print Assumptions C04_masked_step_conditions.
Check C22_marginal_velocity.
Print Assumptions C22_marginal_velocity.
Check C02_masked_rate_generates.
Print Assumptions C02_masked_rate_generates.
Check C03_masked_marginal_generates.
Print Assumptions C03_masked_marginal_generates.

(* Autoregression.v *)
Check C06_masked_chain_law.
Print Assumptions C06_masked_chain_law.
Check C06_one_position_a_step_exact.
Print Assumptions C06_one_position_a_step_exact.
Check C06_any_order_exact.
Print Assumptions C06_any_order_exact.
Check C06_autoregression_exact.
Print Assumptions C06_autoregression_exact.
Check C06_autoregressive_velocity.
Print Assumptions C06_autoregressive_velocity.
Check C06_step_is_next_token_sampling.
Print Assumptions C06_step_is_next_token_sampling.
Check C06_chain_rule.
Print Assumptions C06_chain_rule.

(* MaskedStep.v *)
Check C05_masked_continuity_iff_one_mover.
Print Assumptions C05_masked_continuity_iff_one_mover.

(* Filter.v *)
Check C08_routed_next_token.
Print Assumptions C08_routed_next_token.
Check C10_bayes_filter_is_posterior.
Print Assumptions C10_bayes_filter_is_posterior.
Check C10_bayes_filter_is_path_router.
Print Assumptions C10_bayes_filter_is_path_router.
Check C12_mixture_over_expert.
Print Assumptions C12_mixture_over_expert.
Check C11_router_one_hot.
Print Assumptions C11_router_one_hot.
Check C11_one_hot_top1.
Print Assumptions C11_one_hot_top1.
Check C11_expert_weight_one_hot.
Print Assumptions C11_expert_weight_one_hot.
Check C11_top1_exact.
Print Assumptions C11_top1_exact.

(* Ensemble.v *)
Check C13_one_time_law_discrete.
Print Assumptions C13_one_time_law_discrete.
Check C13_one_time_law_continuous.
Print Assumptions C13_one_time_law_continuous.
Check C13_masked_path_law.
Print Assumptions C13_masked_path_law.

(* Stability.v *)
Check C14_mixture.
Print Assumptions C14_mixture.
Check C14_chain.
Print Assumptions C14_chain.
Check C14_chain_under_other.
Print Assumptions C14_chain_under_other.
Check C14_autoregression.
Print Assumptions C14_autoregression.

(* MaskedRate.v *)
Check C05_masked_step_bound.
Print Assumptions C05_masked_step_bound.
Check C05_masked_run_bound.
Print Assumptions C05_masked_run_bound.

(* TopK.v *)
Check C15_top_k_exact.
Print Assumptions C15_top_k_exact.
Check C15_top_k_bound.
Print Assumptions C15_top_k_bound.
Check C15_top_k_attained_iff_disjoint.
Print Assumptions C15_top_k_attained_iff_disjoint.

(* Product.v *)
Check C21_one_mover_same_law.
Print Assumptions C21_one_mover_same_law.
Check C21_two_movers_covariance.
Print Assumptions C21_two_movers_covariance.
Check C21_two_movers_same_law_iff.
Print Assumptions C21_two_movers_same_law_iff.
Check C21_two_experts_binary.
Print Assumptions C21_two_experts_binary.

(* Corrector.v *)
Check C18_corrector_continuous.
Print Assumptions C18_corrector_continuous.
Check C18_corrector_step_continuity.
Print Assumptions C18_corrector_step_continuity.
Check C18_corrector_samples_one_mover.
Print Assumptions C18_corrector_samples_one_mover.
Check C18_corrector_rate_conditions.
Print Assumptions C18_corrector_rate_conditions.
Check C18_corrector_step_conditions.
Print Assumptions C18_corrector_step_conditions.
Check C18_argmax_backward_conditions.
Print Assumptions C18_argmax_backward_conditions.
Check C18_corrector_conditional_samples.
Print Assumptions C18_corrector_conditional_samples.

(* Averaging.v *)
Check C09_static_iff.
Print Assumptions C09_static_iff.
Check C09_affinely_independent.
Print Assumptions C09_affinely_independent.
Check C09_independent_router.
Print Assumptions C09_independent_router.
Check C16_temperature_one.
Print Assumptions C16_temperature_one.
Check C16_one_hot.
Print Assumptions C16_one_hot.
Check C16_identical_experts.
Print Assumptions C16_identical_experts.
Check C16_sharpen_agrees_iff_one_hot.
Print Assumptions C16_sharpen_agrees_iff_one_hot.
Check C17_affine_averaging.
Print Assumptions C17_affine_averaging.

(* CounterexamplesToken.v *)
Check C01_control_row_sums.
Print Assumptions C01_control_row_sums.
Check C02_control_wrong_pivot.
Print Assumptions C02_control_wrong_pivot.
Check C04_control_derivative_increments.
Print Assumptions C04_control_derivative_increments.
Check C04_control_restored.
Print Assumptions C04_control_restored.
Check C11_control_not_determined.
Print Assumptions C11_control_not_determined.
Check C15_control_tight.
Print Assumptions C15_control_tight.
Check C15_control_not_renormalized.
Print Assumptions C15_control_not_renormalized.
Check C16_control_temperature.
Print Assumptions C16_control_temperature.
Check C16_control_geometric.
Print Assumptions C16_control_geometric.
Check C17_control_softmax.
Print Assumptions C17_control_softmax.
Check C17_control_product.
Print Assumptions C17_control_product.
Check C22_control_different_schedules.
Print Assumptions C22_control_different_schedules.

(* CounterexamplesUniform.v *)
Check C22_control_uniform_source.
Print Assumptions C22_control_uniform_source.
Check C08_control_uniform_source.
Print Assumptions C08_control_uniform_source.
Check C13_control_uniform_path_law.
Print Assumptions C13_control_uniform_path_law.
Check C09_control_affinely_independent.
Print Assumptions C09_control_affinely_independent.

(* Counterexamples.v *)
Check C03_control_prior_for_posterior.
Print Assumptions C03_control_prior_for_posterior.
Check C03_control_restored.
Print Assumptions C03_control_restored.
Check C05_control_two_movers.
Print Assumptions C05_control_two_movers.
Check C06_control_parallel_reveal.
Print Assumptions C06_control_parallel_reveal.
Check C08_control_static_weights.
Print Assumptions C08_control_static_weights.
Check C08_control_static_next_token.
Print Assumptions C08_control_static_next_token.
Check C08_control_restored.
Print Assumptions C08_control_restored.
Check C13_control_two_movers.
Print Assumptions C13_control_two_movers.
Check C21_control_point_experts.
Print Assumptions C21_control_point_experts.

(* CounterexamplesChain.v *)
Check C18_control_difference_not_one.
Print Assumptions C18_control_difference_not_one.
Check C18_control_restored.
Print Assumptions C18_control_restored.
Check C18_control_negative_beta.
Print Assumptions C18_control_negative_beta.
Check C13_control_static_weights_autoregression.
Print Assumptions C13_control_static_weights_autoregression.
Check C10_control_likelihood_dropped.
Print Assumptions C10_control_likelihood_dropped.
Check C10_control_last_token_only.
Print Assumptions C10_control_last_token_only.
Check C10_control_wrong_prior.
Print Assumptions C10_control_wrong_prior.

(* Windows.v *)
Check C20_no_overlap_one_position_iff.
Print Assumptions C20_no_overlap_one_position_iff.
Check C05_lipschitz_run_bound.
Print Assumptions C05_lipschitz_run_bound.
Check C20_windowed_run_bound.
Print Assumptions C20_windowed_run_bound.
Check C20_windowed_run_rate.
Print Assumptions C20_windowed_run_rate.

(* Parallel.v *)
Check C20_parallel_run_misses.
Print Assumptions C20_parallel_run_misses.
Check C20_exact_for_all_iff_one_position.
Print Assumptions C20_exact_for_all_iff_one_position.
Check C20_no_overlap_exact_iff_divides.
Print Assumptions C20_no_overlap_exact_iff_divides.

(* TwoPositions.v *)
Check C20_two_positions_law.
Print Assumptions C20_two_positions_law.
Check C20_two_positions_TV.
Print Assumptions C20_two_positions_TV.
Check C20_two_positions_odd.
Print Assumptions C20_two_positions_odd.

(* Independent.v *)
Check C05_masked_independent_exact.
Print Assumptions C05_masked_independent_exact.
Check C05_two_positions_exact_iff.
Print Assumptions C05_two_positions_exact_iff.

(* Logarithm.v *)
Check C14_gibbs.
Print Assumptions C14_gibbs.
Check C14_mixture_KL.
Print Assumptions C14_mixture_KL.
Check C12_entropy_decomposition.
Print Assumptions C12_entropy_decomposition.
Check C12_per_sequence.
Print Assumptions C12_per_sequence.

(* ExactStep.v *)
Check C05_masked_exact_iff_independent.
Print Assumptions C05_masked_exact_iff_independent.

(* Losses.v *)
Check C07_next_token_loss.
Print Assumptions C07_next_token_loss.
Check C07_left_to_right.
Print Assumptions C07_left_to_right.
Check C07_posterior_is_best.
Print Assumptions C07_posterior_is_best.

(* Elbo.v *)
Check C19_loss_is_entropy_growth.
Print Assumptions C19_loss_is_entropy_growth.
Check C19_one_position_a_step.
Print Assumptions C19_one_position_a_step.
Check C07_minimum_is_entropy.
Print Assumptions C07_minimum_is_entropy.
Check C19_integrand_is_derivative.
Print Assumptions C19_integrand_is_derivative.
Check C19_negative_elbo_polynomial.
Print Assumptions C19_negative_elbo_polynomial.

(* CounterexamplesWindow.v *)
Check C20_control_unaligned.
Print Assumptions C20_control_unaligned.
Check C20_control_restored.
Print Assumptions C20_control_restored.

(* CounterexamplesLog.v *)
Check C19_control_jumps_together.
Print Assumptions C19_control_jumps_together.
Check C14_control_KL_weights.
Print Assumptions C14_control_KL_weights.
Check C12_control_static_weights.
Print Assumptions C12_control_static_weights.
Check C19_control_weight_left_out.
Print Assumptions C19_control_weight_left_out.
Check C07_control_all_hidden.
Print Assumptions C07_control_all_hidden.

(* ThreeBases.v *)
Check C05_spent_component_TV.
Print Assumptions C05_spent_component_TV.
Check C05_spent_component_run.
Print Assumptions C05_spent_component_run.

(* Jumps.v *)
Check C19_jumps_at_least_entropy.
Print Assumptions C19_jumps_at_least_entropy.

(* Decoding.v *)
Check C16_greedy_TV.
Print Assumptions C16_greedy_TV.
Check C16_greedy_agrees_iff.
Print Assumptions C16_greedy_agrees_iff.

(* CounterexamplesMasked.v *)
Check C01_control_wrong_end.
Print Assumptions C01_control_wrong_end.
Check C05_control_steep_start.
Print Assumptions C05_control_steep_start.
Check C05_control_fourth_root.
Print Assumptions C05_control_fourth_root.

(* CounterexamplesRate.v *)
Check C05_control_three_components.
Print Assumptions C05_control_three_components.
Check C05_control_spent_run.
Print Assumptions C05_control_spent_run.
Check C05_control_uniform_source.
Print Assumptions C05_control_uniform_source.

(* CounterexamplesDecoding.v *)
Check C16_control_greedy.
Print Assumptions C16_control_greedy.
Check C16_control_nucleus.
Print Assumptions C16_control_nucleus.
Check C16_control_nucleus_mass.
Print Assumptions C16_control_nucleus_mass.
Check C16_control_accidental.
Print Assumptions C16_control_accidental.

(* TwoSequences.v *)
Check C20_two_sequences_TV.
Print Assumptions C20_two_sequences_TV.

(* CounterexamplesOverlap.v *)
Check C20_control_not_monotone.
Print Assumptions C20_control_not_monotone.
