"use strict";
// Draws the crystal in every element with data-scene="URL", also in those that come later.

(() => {
  const HEIGHT = "26rem";
  const TURN_DEGREES = 10;
  const ZOOM = 1.15;
  const known = new Map(); // element -> what is drawn in it
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const isStill = window.matchMedia("(prefers-reduced-motion: reduce)");
  const PARTS = { polyhedra: "Polyhedra", bonds: "Bonds", vacancies: "Vacancies", cell: "Unit cell" };

  const hasWebGL = (() => {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  })();

  function pageColour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  }

  const xyz = ([x, y, z]) => ({ x, y, z });

  // ---- what is drawn

  function addAtoms(viewer, scene, shown) {
    const atoms = scene.atoms.map(({ element, at, label }, index) => ({
      elem: element,
      ...xyz(at),
      index,
      serial: index,
      bonds: [],
      bondOrder: [],
      properties: { label },
    }));
    if (shown.bonds) {
      for (const [one, other] of scene.bonds) {
        atoms[one].bonds.push(other);
        atoms[one].bondOrder.push(1);
        atoms[other].bonds.push(one);
        atoms[other].bondOrder.push(1);
      }
    }
    const model = viewer.addModel();
    model.addAtoms(atoms);
    for (const { element, colour, radius_A: radius } of scene.legend) {
      const style = { sphere: { color: colour, radius } };
      if (shown.bonds) style.stick = { color: colour, radius: 0.09 };
      model.setStyle({ elem: element }, style);
    }
  }

  // One shape for all polyhedra around an element, with corners of their own for each triangle, so
  // that faces look flat.
  function addPolyhedra(viewer, scene) {
    for (const { element, colour } of scene.legend) {
      const vertexArr = [];
      const normalArr = [];
      const faceArr = [];
      for (const solid of scene.polyhedra) {
        if (solid.element !== element) continue;
        const middle = [0, 1, 2].map(
          (axis) => solid.corners.reduce((sum, at) => sum + at[axis], 0) / solid.corners.length,
        );
        for (const face of solid.faces) {
          const corners = face.map((place) => solid.corners[place]);
          const { normal, isOutward } = normalOf(corners, middle);
          if (!isOutward) corners.reverse();
          for (const corner of corners) {
            faceArr.push(vertexArr.length);
            vertexArr.push(xyz(corner));
            normalArr.push(xyz(normal));
          }
        }
        for (const [one, other] of solid.edges) {
          viewer.addLine({
            start: xyz(solid.corners[one]),
            end: xyz(solid.corners[other]),
            color: colour,
          });
        }
      }
      if (faceArr.length) {
        viewer.addCustom({ vertexArr, normalArr, faceArr, color: colour, opacity: 0.65 });
      }
    }
  }

  function normalOf([a, b, c], middle) {
    const minus = (one, other) => one.map((value, axis) => value - other[axis]);
    const dot = (one, other) => one.reduce((sum, value, axis) => sum + value * other[axis], 0);
    const [u, v] = [minus(b, a), minus(c, a)];
    const cross = [
      u[1] * v[2] - u[2] * v[1],
      u[2] * v[0] - u[0] * v[2],
      u[0] * v[1] - u[1] * v[0],
    ];
    const isOutward = dot(cross, minus(a, middle)) > 0;
    const length = Math.hypot(...cross) * (isOutward ? 1 : -1);
    return { normal: cross.map((value) => value / length), isOutward };
  }

  function addVacancies(viewer, scene) {
    for (const { at, label } of scene.vacancies) {
      viewer.addSphere({
        center: xyz(at),
        radius: 0.5,
        color: pageColour("muted"),
        wireframe: true,
        quality: 1,
        hoverable: true,
        hover_callback: () => showLabel(viewer, at, label),
        unhover_callback: () => viewer.removeAllLabels(),
      });
    }
  }

  function addCell(viewer, scene) {
    const color = pageColour("text");
    for (const [start, end] of scene.cell_edges) {
      viewer.addLine({ start: xyz(start), end: xyz(end), color });
    }
  }

  function showLabel(viewer, at, text) {
    viewer.removeAllLabels();
    viewer.addLabel(text, {
      position: xyz(at),
      backgroundColor: pageColour("raised"),
      backgroundOpacity: 0.95,
      fontColor: pageColour("text"),
      borderColor: pageColour("line"),
      borderThickness: 1,
      fontSize: 13,
      inFront: true,
    });
  }

  function draw(element) {
    const { viewer, scene, shown } = known.get(element);
    viewer.removeAllModels();
    viewer.removeAllShapes();
    viewer.removeAllLabels();
    viewer.setBackgroundColor(pageColour("surface"));
    addAtoms(viewer, scene, shown);
    if (shown.polyhedra) addPolyhedra(viewer, scene);
    if (shown.vacancies) addVacancies(viewer, scene);
    if (shown.cell) addCell(viewer, scene);
    viewer.setHoverable(
      {},
      true,
      (atom) => showLabel(viewer, [atom.x, atom.y, atom.z], atom.properties.label),
      () => viewer.removeAllLabels(),
    );
    viewer.render();
  }

  // ---- what is around it

  function build(element, scene) {
    const state = known.get(element);
    const view = make("div", "structure-view");
    view.tabIndex = 0;
    view.setAttribute("role", "application");
    view.setAttribute("aria-roledescription", "crystal structure");
    view.setAttribute("aria-label", `${scene.summary} Arrow keys turn it, + and − zoom, 0 resets.`);
    view.style.position = "relative";
    view.style.height = HEIGHT;
    view.style.touchAction = "pan-y";
    const shown = {
      polyhedra: scene.polyhedra.length > 0,
      bonds: scene.bonds.length > 0,
      vacancies: scene.vacancies.length > 0,
      cell: true,
    };
    element.replaceChildren(view);
    const viewer = $3Dmol.createViewer(view, {
      backgroundColor: pageColour("surface"),
      orthographic: true,
      antialias: true,
    });
    Object.assign(state, { viewer, scene, shown });
    element.append(controls(element, shown), legend(scene));
    if (scene.note) element.append(make("p", "structure-note muted", scene.note));
    draw(element);
    reset(viewer);
    listen(view, viewer);
    sizes.observe(view);
    element.dataset.drawn = "";
  }

  function reset(viewer) {
    viewer.setView([0, 0, 0, 0, 0, 0, 0, 1]);
    viewer.rotate(-90, "x");
    viewer.rotate(-20, "vy");
    viewer.rotate(12, "vx");
    viewer.zoomTo();
    viewer.zoom(1.3);
    viewer.render();
  }

  function controls(element, shown) {
    const bar = make("p", "row structure-controls");
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "What is drawn");
    const box = (text, isOn, act) => {
      const label = make("label");
      const input = make("input");
      input.type = "checkbox";
      input.checked = isOn;
      input.addEventListener("change", () => act(input.checked));
      label.append(input, ` ${text}`);
      bar.append(label);
    };
    for (const [part, name] of Object.entries(PARTS)) {
      if (!shown[part]) continue;
      box(name, true, (isOn) => {
        shown[part] = isOn;
        draw(element);
      });
    }
    const { viewer } = known.get(element);
    if (!isStill.matches) box("Spin", false, (isOn) => viewer.spin(isOn ? "vy" : false, 0.5));
    const button = make("button", "", "Reset view");
    button.type = "button";
    button.addEventListener("click", () => reset(viewer));
    bar.append(button);
    return bar;
  }

  function legend(scene) {
    const list = make("p", "legend");
    const entry = (text, colour) => {
      const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const ball = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      swatch.setAttribute("viewBox", "0 0 10 10");
      swatch.setAttribute("aria-hidden", "true");
      for (const [name, value] of Object.entries({ cx: 5, cy: 5, r: 4 })) ball.setAttribute(name, value);
      ball.setAttribute("fill", colour ?? "none");
      ball.setAttribute("stroke", "currentColor");
      if (!colour) ball.setAttribute("stroke-dasharray", "2 1.2");
      swatch.append(ball);
      const part = make("span");
      part.append(swatch, text);
      list.append(part, " ");
    };
    for (const { element, colour, number } of scene.legend) entry(`${element} (${number})`, colour);
    if (scene.vacancies.length) entry("vacant site", null);
    return list;
  }

  function listen(view, viewer) {
    const turns = {
      ArrowLeft: ["vy", -TURN_DEGREES],
      ArrowRight: ["vy", TURN_DEGREES],
      ArrowUp: ["vx", -TURN_DEGREES],
      ArrowDown: ["vx", TURN_DEGREES],
    };
    view.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key in turns) {
        const [axis, degrees] = turns[event.key];
        viewer.rotate(degrees, axis);
      } else if (event.key === "+" || event.key === "=") viewer.zoom(ZOOM);
      else if (event.key === "-") viewer.zoom(1 / ZOOM);
      else if (event.key === "0") reset(viewer);
      else return;
      event.preventDefault();
    });
    // A page that is scrolled past must not stop here.
    view.addEventListener(
      "wheel",
      (event) => {
        if (document.activeElement !== view) event.stopPropagation();
      },
      { capture: true },
    );
    view.addEventListener("pointerdown", () => view.focus({ preventScroll: true }), { capture: true });
  }

  function say(element, text) {
    const message = make("p", "structure-message muted", text);
    message.setAttribute("role", "status");
    element.replaceChildren(message);
  }

  // ---- elements that come and go

  async function load(element) {
    if (!hasWebGL) {
      say(element, "3D needs WebGL; the atoms are in the table below.");
      return;
    }
    const state = known.get(element);
    const url = element.dataset.scene;
    state.url = url;
    try {
      const answer = await fetch(url, { cache: "no-cache" });
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      const scene = await answer.json();
      if (known.get(element) === state && state.url === url) build(element, scene);
    } catch (error) {
      const reason = error instanceof TypeError ? "the dashboard does not answer" : error.message;
      say(element, `The structure cannot be shown: ${reason}.`);
    }
  }

  const views = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting || !known.has(target)) continue;
        views.unobserve(target);
        load(target);
      }
    },
    { rootMargin: "50%" },
  );

  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const viewer = known.get(target.parentElement)?.viewer;
      if (viewer && target.clientWidth) viewer.resize();
    }
  });

  function look() {
    for (const element of [...known.keys()].filter((old) => !old.isConnected)) {
      known.get(element).viewer?.spin(false);
      known.delete(element);
    }
    for (const element of document.querySelectorAll("[data-scene]")) {
      if (known.has(element)) continue;
      known.set(element, {});
      views.observe(element);
    }
  }

  new MutationObserver((changes) => {
    if (changes.some(({ type }) => type === "childList")) look();
    for (const { target, type } of changes) {
      if (type === "attributes" && known.get(target)?.url) load(target);
    }
  }).observe(document.documentElement, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["data-scene"],
  });

  dark.addEventListener("change", () => {
    for (const [element, { viewer }] of known) if (viewer) draw(element);
  });
  look();
})();
