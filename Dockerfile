# Muniment as an image. Parsed by a test; not run in CI, which has no Docker.
FROM node:20.19-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No install script is needed: what is native comes prebuilt.
RUN npm ci --ignore-scripts
COPY . .
RUN node scripts/build.mjs && npm prune --omit=dev --ignore-scripts

FROM node:20.19-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
WORKDIR /muniment
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY --from=build /build/profiles profiles
COPY --from=build /build/scripts/muniment.mjs /build/scripts/build.mjs scripts/
# A named volume takes its owner from the folder that it covers.
RUN install -d -o node -g node -m 0711 /data
VOLUME /data
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is process 1 and receives SIGTERM: running answers finish.
CMD ["node", "--max-semi-space-size=64", "scripts/muniment.mjs", "serve"]
