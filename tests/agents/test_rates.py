"""Learning rates that fall as training goes on."""

import pytest

from tests.agents.test_actor_critic import actor_critic
from tests.agents.test_predictor import predictor


@pytest.mark.parametrize("agent_of", [actor_critic, predictor])
def test_the_learning_rate_falls_along_a_cosine(agent_of):
    agent = agent_of(0, updates=40, learning_rate=0.01, final_learning_rate=0.1)
    rates = []
    for _ in range(40):
        agent.advance()
        rates.append(agent.optimiser.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.01)
    assert rates[20] == pytest.approx(0.01 * (0.1 + 0.9 / 2))
    assert rates[30] == pytest.approx(0.01 * (0.1 + 0.9 * (1 - 0.5**0.5) / 2))
    assert rates == sorted(rates, reverse=True)
