"""An environment as of 2020: a window of pyglet's, drawn by OpenGL, and read back as the viewer of Gym 0.12 does."""

import gym
import numpy as np


class Viewer:
    """A window of 128 x 96, which pyglet opens on the X server of ``DISPLAY``."""

    def __init__(self):
        import pyglet  # asks for the X server

        self.pyglet = pyglet
        self.window = pyglet.window.Window(128, 96)

    def picture(self, share):
        """Draw green from the left to ``share`` of the width, and what is left of it red; return (96, 128, 3) uint8."""
        gl, middle = self.pyglet.gl, int(128 * share)
        self.window.switch_to()
        self.window.dispatch_events()
        self.window.clear()
        for colour, left, right in (((0, 1, 0), 0, middle), ((1, 0, 0), middle, 128)):
            gl.glColor3f(*colour)
            gl.glBegin(gl.GL_QUADS)
            for corner in ((left, 0), (right, 0), (right, 96), (left, 96)):
                gl.glVertex2f(*corner)
            gl.glEnd()
        buffer = self.pyglet.image.get_buffer_manager().get_color_buffer().get_image_data()
        pixels = np.frombuffer(buffer.get_data("RGBA", -4 * 128), np.uint8).reshape(96, 128, 4)
        self.window.flip()
        return pixels[:, :, :3]


class Steps(gym.Env):
    """Eight steps, whatever is done; the picture is greener with each."""

    metadata = {"render.modes": ["rgb_array"]}  # noqa: RUF012  # as gym has it
    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.viewer, self.done = None, 0

    def reset(self):
        self.done = 0
        return np.zeros(1, np.float32)

    def step(self, action):
        self.done += 1
        return np.array([self.done / 8], np.float32), float(action), self.done == 8, {}

    def render(self, mode="rgb_array"):
        self.viewer = self.viewer or Viewer()
        return self.viewer.picture(0.25 + self.done / 16)

    def seed(self, seed=None):
        return [seed]


ENVS = {"steps": lambda env_config: Steps()}
